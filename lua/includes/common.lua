-- Definitions that every script needs.

local MAXIMUM_UNITS = 9007199254740991
-- Locals, because reading a global is slow.
local call, structPack, structUnpack = redis.call, struct.pack, struct.unpack
local ceil, floor, frexp, max, min = math.ceil, math.floor, math.frexp, math.max, math.min

-- False for NaN. Lua implementation of isWhole in src/algorithms/algorithm.ts.
local function isWhole(value, most)
  return value >= 0 and value <= most and value % 1 == 0
end

-- Clamps units to 0 … MAXIMUM_UNITS.
local function inRange(units)
  if units < 0 then
    return 0
  end
  return units < MAXIMUM_UNITS and units or MAXIMUM_UNITS
end

-- Code that runs in every check rounds up by `x + -x % 1`, because that avoids a call to C.

-- The shortest time for which a state is kept, in µs. Otherwise quotas per second would set a TTL with each check, which costs twice as
-- much as writing the state.
local KEPT_AT_LEAST = 1000000
--#each
local expiryStep = KEPT_AT_LEAST
--#end

-- When a state of time `from` expires that counts for `lifetime` µs: after at least that time, and at most twice as long. Rounded to steps,
-- so that most writes find the same expiry and need not set it again.
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

-- The same for a window that starts at `start`. Mostly the end of the window, which is the same for all writes in it. Both return whole
-- milliseconds, because keys and records expire by the millisecond.
local function windowKeptUntil(start, length)
  if length < KEPT_AT_LEAST then
    local ends = start + KEPT_AT_LEAST
    return ends - ends % KEPT_AT_LEAST + KEPT_AT_LEAST
  end
  local ends = start + length
  return ends + -ends % 1000
end

-- The latest expiry, in µs: 2^44 ms, in the year 2527. A debt may take longer to drain. A record has room for later times, so that few other bytes
-- pass for a record, and none that are text.
local LATEST_EXPIRY = 17592186044416000

-- The text of an expiry for a command: see text_of.lua.
local lastExpiry, lastText, textOf
