-- Units `used` in the calendar window from `start` to just before `stop`. Lua implementation of src/algorithms/calendar-window.ts.

--#include calendar.lua

local function open(now, quota)
  return quota.start, quota.stop, 0
end

local function roll(now, quota, start, stop, used)
  if now >= stop or used == 0 then
    return open(now, quota)
  end
  return start, stop, used
end

local function available(now, quota, start, stop, used)
  local left = quota.limit - used
  return left > 0 and left or 0
end

local function spend(quantity, now, quota, start, stop, used)
  return start, stop, inRange(used + quantity)
end

local function resetAfter(now, quota, start, stop, used)
  return used > 0 and stop - now or 0
end

local function giveBack(quantity, mark, now, quota, start, stop, used)
  if start == mark then
    return spend(-quantity, now, quota, start, stop, used)
  end
  return start, stop, used
end

local function expiresAt(quota, start, stop)
  return windowKeptUntil(start, stop - start)
end

local function valid(quota, start, stop, used)
  return areBounds(start, stop) and isWhole(used, MAXIMUM_UNITS)
end

return {
  size = 3,
  placeWindow = placeWindow,
  open = open,
  roll = roll,
  available = available,
  spend = spend,
  resetAfter = resetAfter,
  giveBack = giveBack,
  expiresAt = expiresAt,
  valid = valid,
}
