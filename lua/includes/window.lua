-- Shared by the two plain windows. State: units `used` in the window that starts at `start`.
-- Lua implementation of src/algorithms/window.ts. The algorithm's own file comes before this one and defines startOf(now, quota).

local function open(now, quota)
  local start = startOf(now, quota)
  return start, 0
end

local function roll(now, quota, start, used)
  if now >= start + quota.period or used == 0 then
    return open(now, quota)
  end
  return start, used
end

local function available(now, quota, start, used)
  local left = quota.limit - used
  return left > 0 and left or 0
end

local function spend(quantity, now, quota, start, used)
  return start, inRange(used + quantity)
end

local function resetAfter(now, quota, start, used)
  if used > 0 then
    return start + quota.period - now
  end
  return 0
end

local function giveBack(quantity, mark, now, quota, start, used)
  if start == mark then
    return spend(-quantity, now, quota, start, used)
  end
  return start, used
end

local function expiresAt(quota, start)
  return windowKeptUntil(start, quota.period)
end

local function valid(quota, start, used)
  if start >= 0 and start <= MAXIMUM_UNITS and start % 1 == 0 then
    return used >= 0 and used <= MAXIMUM_UNITS and used % 1 == 0
  end
  return false
end

return {
  size = 2,
  open = open,
  roll = roll,
  available = available,
  spend = spend,
  resetAfter = resetAfter,
  giveBack = giveBack,
  expiresAt = expiresAt,
  valid = valid,
}
