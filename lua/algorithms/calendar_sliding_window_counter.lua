-- Two counters of calendar windows: units in the window from `start` to just before `stop`, and in the previous one, which leave over as long
-- as that one lasted. Lua implementation of src/algorithms/calendar-sliding-window-counter.ts.

--#include calendar.lua

local function weighted(now, quota, start, previous)
  local length = quota.start - quota.previousStart
  local elapsed = now > start and now - start or 0
  if elapsed >= length then
    return 0
  end
  local part = (previous * (length - elapsed)) / length
  return part + -part % 1
end

local function open(now, quota)
  return quota.start, quota.stop, 0, 0
end

local function roll(now, quota, start, stop, previous, current)
  if now < stop then
    return start, stop, previous, current
  end
  return quota.start, quota.stop, stop > quota.previousStart and current or 0, 0
end

local function available(now, quota, start, stop, previous, current)
  local left = quota.limit - current - weighted(now, quota, start, previous)
  return left > 0 and left or 0
end

local function spend(quantity, now, quota, start, stop, previous, current)
  current = current + quantity
  if current < 0 then
    previous = max(previous + current, 0)
  end
  return start, stop, previous, inRange(current)
end

-- When anything is used now, the end of the next window is not known here: a time that is not too early, because only its sign is used.
local function resetAfter(now, quota, start, stop, previous, current)
  if current > 0 then
    return stop + (stop - start) - now
  end
  local left = start + (quota.start - quota.previousStart)
  return previous > 0 and left > now and min(left, stop) - now or 0
end

local function giveBack(quantity, mark, now, quota, start, stop, previous, current)
  if start == mark then
    return start, stop, previous, max(current - quantity, 0)
  end
  if start == quota.start and mark == quota.previousStart then
    return start, stop, max(previous - quantity, 0), current
  end
  return start, stop, previous, current
end

local function expiresAt(quota, start, stop, previous, current)
  return windowKeptUntil(start, (current > 0 and 2 or 1) * (stop - start))
end

local function valid(quota, start, stop, previous, current)
  return areBounds(start, stop) and isWhole(previous, MAXIMUM_UNITS) and isWhole(current, MAXIMUM_UNITS)
end

return {
  size = 4,
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
