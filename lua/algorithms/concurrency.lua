-- Permits: units held at once. State: last, used, waiting, soonest, endedAt, interval, passed as one table, because batch.lua keeps up to
-- four numbers apart. The tickets are a sorted set beside it: see lua/operations/permits.lua. Lua implementation of
-- src/algorithms/concurrency.ts.

local CENTURY = 3155760000000000
local KEPT_BEYOND_LEASE = 1000000

local function open()
  return { 0, 0, 0, 0, 0, 0 }
end

local function roll(now, quota, state)
  return state
end

local function available(now, quota, state)
  return state[3] > 0 and 0 or max(quota.limit - state[2], 0)
end

local function spend(quantity, now, quota, state)
  return state
end

local function resetAfter(now, quota, state)
  return state[2] > 0 and quota.period or 0
end

local function keptFor(now, quota, state)
  if state[2] > 0 or state[3] > 0 then
    return quota.period + KEPT_BEYOND_LEASE
  end
  return state[1] >= now and state[1] - now + KEPT_BEYOND_LEASE or 0
end

local function valid(quota, state)
  for number = 1, 5 do
    if not isWhole(state[number], MAXIMUM_UNITS) then
      return false
    end
  end
  return state[6] >= 0 and state[6] <= CENTURY
end

return {
  size = 6,
  open = open,
  roll = roll,
  available = available,
  spend = spend,
  resetAfter = resetAfter,
  keptFor = keptFor,
  valid = valid,
}
