-- An exact log of what was spent. Lua implementation of src/algorithms/moving-window.ts; the functions are in log.lua.

--#include log.lua

return {
  size = 0,
  open = open,
  roll = roll,
  available = available,
  spend = spend,
  resetAfter = resetAfter,
  retryAfter = retryAfter,
  giveBack = giveBack,
  read = read,
  leasedAt = leasedAt,
  expiresAt = expiresAt,
  write = write,
}
