-- Decides one layer of keys that occur only once in the call, which is the usual case. Lua implementation of decideOne in
-- src/algorithms/driver.ts.

local FORMATS = { '<d', '<dd', '<ddd', '<dddd', [6] = '<dddddd' }
-- The state in the reply for a fresh key: NaN in every number.
local NOTHING = string.rep('\255', 48)
-- The default of `valid`, as in src/algorithms/with-defaults.ts.
local function areFinite(_, ...)
  for index = 1, select('#', ...) do
    local number = select(index, ...)
    if number and number - number ~= 0 then
      return false
    end
  end
  return true
end

-- When a state expires, in µs.
local function expiryOf(algorithm, now, quota, new1, new2, new3, new4)
  if algorithm.expiresAt then
    return algorithm.expiresAt(quota, new1, new2, new3, new4)
  end
  return now + (algorithm.keptFor or algorithm.resetAfter)(now, quota, new1, new2, new3, new4)
end

-- Decides `count` identical checks on each of the keys `from` to `to`. `values` holds the texts read, and afterwards those for the reply.
-- `written` receives the texts to write, `expiries` their expiry unless the key's TTL stays.
local function decideEach(now, algorithm, quota, quantity, count, from, to, values, written, expiries)
  local open, valid, roll, available, spend, expiresAt =
    algorithm.open, algorithm.valid, algorithm.roll, algorithm.available, algorithm.spend, algorithm.expiresAt
  local format, width = FORMATS[algorithm.size], algorithm.size * 8
  local nothing = NOTHING:sub(1, width)
  -- With a named quota, a quota of other numbers may have written the state, so the key's TTL is unknown and must be set.
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
