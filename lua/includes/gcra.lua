-- Shared by the two forms of GCRA, a continuous-state leaky bucket. State: `level` (units used times the period) at `time`. Lua
-- implementation of src/algorithms/gcra.ts, with the same operations in the same order. Times are whole µs. A state is passed last, as
-- separate numbers. The algorithm's own file comes before this one and defines open(now, quota) and lifetimeOf(quota, level): µs for which
-- a level is kept.

local CENTURY = 3155760000000000
-- The highest level that any quota writes: MAXIMUM_UNITS * CENTURY.
local HIGHEST_LEVEL = 28424559120141428410320372629504

local function roll(now, quota, time, level)
  local elapsed = now - time
  if elapsed <= 0 then
    return time, level
  end
  level = level - elapsed * quota.count
  return now, level > 0 and level or 0
end

local function available(now, quota, time, level)
  local used = level / quota.period
  local left = quota.limit - (used + -used % 1)
  return left > 0 and left or 0
end

local function spend(quantity, now, quota, time, level)
  local after = level + quantity * quota.period
  if after < 0 then
    return time, 0
  end
  local most = quota.count * CENTURY
  if after > most and quantity > 0 then
    return time, level > most and level or most
  end
  return time, after
end

local function resetAfter(now, quota, time, level)
  if level > 0 then
    return time - now + ceil(level / quota.count)
  end
  return 0
end

local function retryAfter(quantity, now, quota, time, level)
  local over = level - (quota.limit - quantity) * quota.period
  if over > 0 then
    return time - now + ceil(over / quota.count)
  end
  return 0
end

-- The mark is not needed, because a bucket has no windows: units stay in the level until they have drained.
local function giveBack(quantity, mark, now, quota, time, level)
  return spend(-quantity, now, quota, time, level)
end

local function spendLater(quantity, wait, now, quota, time, level)
  local drained = (wait - (time - now)) * quota.count
  return spend(quantity, now, quota, time, level > drained and level or drained)
end

-- `earlier` is a table, because the later state takes the place of the separate numbers.
local function catchUp(quota, earlier, time, level)
  return roll(time, quota, earlier[1], earlier[2])
end

local function spentSince(quota, earlier, time, level)
  local as, before = catchUp(quota, earlier, time, level)
  return as == time and level - before or 0 / 0
end

-- NaN for a level that never drains, because the count is 0.
local function keptFor(now, quota, time, level)
  local lifetime = lifetimeOf(quota, level)
  return lifetime == 0 and 0 or time - now + lifetime
end

local function expiresAt(quota, time, level)
  local drained = lifetimeOf(quota, level)
  return keptUntil(time, drained)
end

local function valid(quota, time, level)
  if time >= 0 and time <= MAXIMUM_UNITS and time % 1 == 0 then
    return level >= 0 and level <= HIGHEST_LEVEL and level % 1 == 0
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
  retryAfter = retryAfter,
  giveBack = giveBack,
  spendLater = spendLater,
  catchUp = catchUp,
  spentSince = spentSince,
  keptFor = keptFor,
  expiresAt = expiresAt,
  valid = valid,
}
