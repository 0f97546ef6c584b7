-- Decides one layer of keys that nothing else in the call touches: the usual case. Lua implementation of decideOne in src/algorithms/driver.ts.

local FORMATS = { '<d', '<dd', '<ddd', '<dddd' }
-- A state of no key: NaN in every number.
local NOTHING = string.rep('\255', 32)
-- What an algorithm that does not say what it writes is taken to write: as src/algorithms/with-defaults.ts.
local function areFinite(_, ...)
  for index = 1, select('#', ...) do
    local number = select(index, ...)
    if number and number - number ~= 0 then
      return false
    end
  end
  return true
end

-- Until when a state is kept, in µs.
local function expiryOf(algorithm, now, quota, new1, new2, new3, new4)
  if algorithm.expiresAt then
    return algorithm.expiresAt(quota, new1, new2, new3, new4)
  end
  return now + algorithm.resetAfter(now, quota, new1, new2, new3, new4)
end

-- Decides `count` equal checks on each of the keys `from` to `to`. In `values`, what was read gives way to what the reply says;
-- `written` gets what is to be written, `expiries` until when it is kept, where that is not as long as it is kept now.
local function decideEach(now, algorithm, quota, quantity, count, from, to, values, written, expiries)
  local open, valid, roll, available, spend, expiresAt =
    algorithm.open, algorithm.valid, algorithm.roll, algorithm.available, algorithm.spend, algorithm.expiresAt
  local format, width = FORMATS[algorithm.size], algorithm.size * 8
  local nothing = NOTHING:sub(1, width)
  -- What was written by other numbers, under a name that lets them change, is kept by those.
  local fixedQuota = quota.fixedQuota and expiresAt
  valid = valid or areFinite
  expiresAt = expiresAt or function(...)
    return expiryOf(algorithm, now, ...)
  end
  for key = from, to do
    local value = values[key]
    --#include decide_one.lua
    if not known then
      values[key] = value
    end
    if text then
      written[key] = text
      if expiry then
        expiries[key] = expiry
      end
    end
  end
end
