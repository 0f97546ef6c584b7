-- Decides one layer of keys that nothing else in the call touches: the usual case. Twin of decideOne in src/algorithms/driver.ts.

local FORMATS = { '<d', '<dd', '<ddd', '<dddd' }
-- A state of no key: NaN in every number.
local NOTHING = string.rep('\255', 32)
-- Passed-in time does not run with the server's, so keys live an hour longer then, in ms.
local ALLOWANCE = 3600000

-- Now in µs, and whether it was passed in; -1 stands for the server's own.
local function readClock(clock)
  if clock >= 0 then
    return clock, true
  end
  local time = call('TIME')
  return time[1] * 1000000 + time[2], false
end

-- What a twin that does not say what it writes is taken to write. Twin of the default in src/algorithms/complete.ts.
local function areFinite(_, ...)
  for index = 1, select('#', ...) do
    local number = select(index, ...)
    if number and number - number ~= 0 then
      return false
    end
  end
  return true
end

-- Until when a state is kept, in ms.
local function expiryOf(algorithm, now, quota, a, b, c, d)
  if algorithm.expiresAt then
    return algorithm.expiresAt(quota, a, b, c, d)
  end
  return ceil((now + algorithm.resetAfter(now, quota, a, b, c, d)) / 1000)
end

-- Decides `count` equal checks on each of the keys `from` to `to`. In `values`, what was read gives way to what the reply says;
-- `written` gets what is to be written, `expiries` until when it is kept, where that is not as long as it is kept now.
local function decideEach(now, algorithm, quota, quantity, count, from, to, values, written, expiries)
  local valid, roll, available, spend, expiresAt =
    algorithm.valid or areFinite, algorithm.roll, algorithm.available, algorithm.spend, algorithm.expiresAt
  local format, width = FORMATS[algorithm.size], algorithm.size * 8
  local nothing = NOTHING:sub(1, width)
  -- What was written by other numbers, under a name that lets them change, is kept by those.
  local steady = quota.steady and expiresAt
  for key = from, to do
    local value = values[key]
    local w, x, y, z, a, b, c, d
    if value and #value == width then
      w, x, y, z = structUnpack(format, value)
      if valid(quota, w, x, y, z) then
        a, b, c, d = roll(now, quota, w, x, y, z)
      end
    end
    local known = a
    if not known then
      values[key] = nothing
      a, b, c, d = algorithm.open(now, quota)
    end
    local left = available(now, quota, a, b, c, d)
    if quantity > 0 and quantity <= left then
      local spent = quantity * count
      if spent > left then
        spent = left - left % quantity
      end
      a, b, c, d = spend(spent, now, quota, a, b, c, d)
      written[key] = structPack(format, a, b, c, d)
      local expiry = expiresAt and expiresAt(quota, a, b, c, d) or expiryOf(algorithm, now, quota, a, b, c, d)
      if not (known and steady and expiresAt(quota, w, x, y, z) == expiry) then
        expiries[key] = expiry
      end
    end
  end
end

-- Few numbers are ever made texts of, for the keys of a call share most instants.
local texts = {}

local function textOf(milliseconds)
  local text = texts[milliseconds]
  if not text then
    text = string.format('%.0f', milliseconds)
    texts[milliseconds] = text
  end
  return text
end

-- How a command is told the instant `expiry`: the server's clock may not be the one that decided.
local function expiryText(expiry, now, passedIn)
  if passedIn then
    return textOf(max(expiry - floor(now / 1000), 1) + ALLOWANCE)
  end
  return textOf(expiry)
end

local function write(key, value, expiry, now, passedIn)
  if not expiry then
    -- Keeps the TTL, at less than half the price of SET.
    call('SETRANGE', key, '0', value)
  else
    call('SET', key, value, passedIn and 'PX' or 'PXAT', expiryText(expiry, now, passedIn))
  end
end
