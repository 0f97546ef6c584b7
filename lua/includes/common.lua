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

-- µs for which a state is kept at least. Quotas by the second would else set a TTL with each check, which costs twice as much as
-- the state does.
local KEPT_AT_LEAST = 1000000
local expiryStep = KEPT_AT_LEAST

-- The instant, in µs, until which a state as of `from` is kept that counts for `lifetime` µs: no later than twice as long. It stays
-- the same over many writes, so that most need not set it again.
local function keptUntil(from, lifetime)
  if lifetime < KEPT_AT_LEAST then
    lifetime = KEPT_AT_LEAST
  end
  if lifetime < expiryStep or lifetime >= 2 * expiryStep then
    local _, exponent = frexp(lifetime / KEPT_AT_LEAST)
    expiryStep = 2 ^ (exponent - 1) * KEPT_AT_LEAST
  end
  local ends = from + lifetime
  return ends - ends % expiryStep + expiryStep
end

-- As keptUntil, of a window that starts at `start`. Mostly with its end, which stays the same while the window does.
local function windowKeptUntil(start, length)
  if length < KEPT_AT_LEAST then
    local ends = start + KEPT_AT_LEAST
    return ends - ends % KEPT_AT_LEAST + KEPT_AT_LEAST
  end
  return start + length
end

-- Passed-in time does not run with the server's, so keys live an hour longer then, in ms.
local ALLOWANCE = 3600000

local lastExpiry, lastText

-- The instant `expiry`, in µs, as it is told to a command: in ms, and by how long it is from now where the server's clock did not
-- decide. Redis itself would write some whole numbers with an exponent. The keys of a call share most instants.
local function textOf(expiry, now, passedIn)
  if expiry ~= lastExpiry then
    lastExpiry = expiry
    expiry = math.ceil(expiry / 1000)
    if passedIn then
      expiry = math.max(expiry - math.floor(now / 1000), 1) + ALLOWANCE
    end
    -- A debt may take longer to drain than an expiry can say.
    if not (expiry < MAXIMUM_UNITS) then
      expiry = MAXIMUM_UNITS
    end
    lastText = string.format('%.0f', expiry)
  end
  return lastText
end
