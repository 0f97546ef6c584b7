-- GCRA as a continuous-state leaky bucket. State: what is used, in units times the period (`level`), as of `time`.
-- Twin of src/algorithms/gcra.ts, the same operations in the same order. Times are whole µs; a state comes last, as its numbers.

local CENTURY = 3155760000000000

local function bounded(level, quota)
  return math.min(math.max(level, 0), quota.count * CENTURY)
end

local function open(now)
  return now, 0
end

local function roll(now, quota, time, level)
  local elapsed = now - time
  if elapsed <= 0 then
    return time, level
  end
  return now, math.max(level - elapsed * quota.count, 0)
end

local function available(now, quota, time, level)
  return math.max(quota.limit - math.ceil(level / quota.period), 0)
end

local function spend(quantity, now, quota, time, level)
  return time, bounded(level + quantity * quota.period, quota)
end

local function resetAfter(now, quota, time, level)
  if level > 0 then
    return time - now + math.ceil(level / quota.count)
  end
  return 0
end

local function retryAfter(quantity, now, quota, time, level)
  local over = level - (quota.limit - quantity) * quota.period
  if over > 0 then
    return time - now + math.ceil(over / quota.count)
  end
  return 0
end

-- A bucket has no windows: what was spent is in the level until it has drained.
local function giveBack(quantity, mark, now, quota, time, level)
  return spend(-quantity, now, quota, time, level)
end

local function spendLater(quantity, wait, now, quota, time, level)
  local drained = (wait - (time - now)) * quota.count
  return time, bounded(math.max(level, drained) + quantity * quota.period, quota)
end

local function valid(quota, time, level)
  return isWhole(time, MAXIMUM_UNITS) and isWhole(level, quota.count * CENTURY)
end

return {
  size = 2,
  open = open,
  roll = roll,
  available = available,
  spend = spend,
  resetAfter = resetAfter,
  retryAfter = retryAfter,
  giveBack = giveBack,
  spendLater = spendLater,
  valid = valid,
}
