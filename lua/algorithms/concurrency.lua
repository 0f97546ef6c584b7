-- Permits: units held at once. State: last, used, waiting, soonest, endedAt, interval, passed as one table, because batch.lua keeps up to
-- four numbers apart. The tickets are a sorted set beside it: see lua/operations/permits.lua. Lua implementation of
-- src/algorithms/concurrency.ts.

--#include permit_header.lua

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
  return headerKeptFor(now, quota.period, state)
end

local function valid(_, state)
  return isHeader(state)
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
