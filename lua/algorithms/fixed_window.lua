-- Windows at whole multiples of the period since the Unix epoch. Lua implementation of src/algorithms/fixed-window.ts; the rest is in window.lua.

local function startOf(now, quota)
  return now - now % quota.period
end

--#include window.lua
