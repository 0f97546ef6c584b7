-- Replaces a record if it is still the one that the caller has read.
--
-- KEYS[1]  the record
-- ARGV[1]  the JSON text expected there; empty: nothing is there
-- ARGV[2]  the JSON text to keep
-- ARGV[3]  ms until it is forgotten; empty: never
-- Reply    nil when swapped, else the text found: empty where there is none, or where it is no text

-- GET would fail on a value of another type.
local found = redis.call('MGET', KEYS[1])[1] or ''
if found ~= ARGV[1] then
  return found
end
if ARGV[3] == '' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return nil
