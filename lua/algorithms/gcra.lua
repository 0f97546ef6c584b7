-- GCRA in which a fresh key has all of the limit. Lua implementation of `gcra` in src/algorithms/gcra.ts; the rest is in lua/includes/gcra.lua.

local function open(now)
  return now, 0
end

local function lifetimeOf(quota, level)
  local lifetime = level / quota.count
  return lifetime + -lifetime % 1
end

--#include gcra.lua
