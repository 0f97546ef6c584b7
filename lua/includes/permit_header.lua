-- The header of a layer with permits: last, used, waiting, soonest, endedAt, interval. Lua implementation of what src/algorithms/concurrency.ts
-- says of it.

local CENTURY = 3155760000000000
local KEPT_BEYOND_LEASE = 1000000

local function headerKeptFor(now, lease, state)
  if state[2] > 0 or state[3] > 0 then
    return lease + KEPT_BEYOND_LEASE
  end
  return state[1] >= now and state[1] - now + KEPT_BEYOND_LEASE or 0
end

local function isHeader(state)
  for number = 1, 5 do
    if not isWhole(state[number], MAXIMUM_UNITS) then
      return false
    end
  end
  return state[6] >= 0 and state[6] <= CENTURY
end
