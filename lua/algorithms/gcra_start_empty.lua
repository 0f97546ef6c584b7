-- GCRA in which a fresh key has one unit. Lua implementation of `gcraStartEmpty` in src/algorithms/gcra.ts; the rest is in
-- lua/includes/gcra.lua.

local function startLevel(quota)
  return quota.limit > 1 and (quota.limit - 1) * quota.period or 0
end

local function open(now, quota)
  local level = startLevel(quota)
  return now, level
end

-- Kept until the bucket has been full for as long as a fresh one takes to fill, because a full bucket differs from a fresh key.
local function lifetimeOf(quota, level)
  local start = startLevel(quota)
  local lifetime = (level + start) / quota.count
  return lifetime + -lifetime % 1
end

--#include gcra.lua
