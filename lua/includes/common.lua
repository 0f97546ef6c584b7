-- What every part of a script needs.

local MAXIMUM_UNITS = 9007199254740991
-- Looked up once: a script reads globals slowly.
local call, structPack, structUnpack = redis.call, struct.pack, struct.unpack
local ceil, floor, frexp, max, min = math.ceil, math.floor, math.frexp, math.max, math.min

-- False for NaN. As isWhole in src/algorithms/algorithm.ts.
local function isWhole(value, most)
  return value >= 0 and value <= most and value % 1 == 0
end

-- Units as they can be counted: a debt is capped, and nobody has less than nothing.
local function inRange(units)
  if units < 0 then
    return 0
  end
  return units < MAXIMUM_UNITS and units or MAXIMUM_UNITS
end

-- `x + -x % 1` is x rounded up, without the price of a call to C; so it stands where every check comes by.

local expiryStep = 1000

-- The instant, in µs, until which a state is kept that counts until `ends`, and counts for `lifetime` µs when it is written: no
-- later than twice as long. It stays the same over many writes, so that most need not set it again.
local function keptUntil(ends, lifetime)
  if lifetime < expiryStep or lifetime >= 2 * expiryStep then
    local _, exponent = frexp(lifetime / 1000)
    expiryStep = exponent > 1 and 2 ^ (exponent - 1) * 1000 or 1000
  end
  return ends - ends % expiryStep + expiryStep
end

-- Passed-in time does not run with the server's, so keys live an hour longer then, in ms.
local ALLOWANCE = 3600000

-- The instant `expiry`, in µs, as it is told to a command: in ms, and by how long it is from now where the server's clock did not
-- decide. Redis itself would write some whole numbers with an exponent.
local function textOf(expiry, now, passedIn)
  expiry = math.ceil(expiry / 1000)
  if passedIn then
    expiry = math.max(expiry - math.floor(now / 1000), 1) + ALLOWANCE
  end
  -- A debt may take longer to drain than an expiry can say.
  if not (expiry < MAXIMUM_UNITS) then
    expiry = MAXIMUM_UNITS
  end
  return string.format('%.0f', expiry)
end
