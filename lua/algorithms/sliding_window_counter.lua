-- Two counters: units in the window that starts at `start`, and in the previous one. Lua implementation of src/algorithms/sliding-window-counter.ts.

local function weighted(now, quota, start, previous)
  local elapsed = now > start and now - start or 0
  local part = (previous * (quota.period - elapsed)) / quota.period
  return part + -part % 1
end

local function open(now, quota)
  return now - now % quota.period, 0, 0
end

local function roll(now, quota, start, previous, current)
  local following = start + quota.period
  if now < following then
    return start, previous, current
  end
  if now < following + quota.period then
    return following, current, 0
  end
  return open(now, quota)
end

local function available(now, quota, start, previous, current)
  local carried = weighted(now, quota, start, previous)
  local left = quota.limit - current - carried
  return left > 0 and left or 0
end

local function spend(quantity, now, quota, start, previous, current)
  current = current + quantity
  if current < 0 then
    previous = max(previous + current, 0)
  end
  return start, previous, inRange(current)
end

local function resetAfter(now, quota, start, previous, current)
  if current > 0 then
    return start + 2 * quota.period - now
  end
  return previous > 0 and start + quota.period - now or 0
end

local function giveBack(quantity, mark, now, quota, start, previous, current)
  if start == mark then
    return start, previous, max(current - quantity, 0)
  end
  if start == mark + quota.period then
    return start, max(previous - quantity, 0), current
  end
  return start, previous, current
end

local function expiresAt(quota, start, previous, current)
  return windowKeptUntil(start, (current > 0 and 2 or 1) * quota.period)
end

local function valid(quota, start, previous, current)
  return isWhole(start, MAXIMUM_UNITS) and isWhole(previous, MAXIMUM_UNITS) and isWhole(current, MAXIMUM_UNITS)
end

return {
  size = 3,
  open = open,
  roll = roll,
  available = available,
  spend = spend,
  resetAfter = resetAfter,
  giveBack = giveBack,
  expiresAt = expiresAt,
  valid = valid,
}
