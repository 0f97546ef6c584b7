-- A window that starts with the first admitted request. Lua implementation of src/algorithms/periodic.ts; the rest is in window.lua.

local function startOf(now)
  return now
end

--#include window.lua
