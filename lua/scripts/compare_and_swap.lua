-- Replaces a record if it is still the one that the caller has read.
--
-- KEYS[1]  the record
-- ARGV[1]  the call's echo
-- ARGV[2]  the JSON text expected there; empty: nothing is there
-- ARGV[3]  the JSON text to keep
-- ARGV[4]  ms until it is forgotten; empty: never
-- Reply    the echo, and unless it was swapped the text found: empty where there is none, or where it is no text

-- GET would fail on a value of another type.
local found = redis.call('MGET', KEYS[1])[1] or ''
if found ~= ARGV[2] then
  return { ARGV[1], found }
end
if ARGV[4] == '' then
  redis.call('SET', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
return { ARGV[1] }
