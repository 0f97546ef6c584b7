-- Replaces a record if it is still the one that the caller read.
--
-- KEYS[1]  the record
-- ARGV[1]  the call's echo
-- ARGV[2]  the JSON text expected; empty: no record
-- ARGV[3]  the JSON text to write
-- ARGV[4]  time to live in ms; empty: forever
-- Reply    the echo; and if the record was not swapped, the text found (empty: none, or a value of another type)

-- MGET, because GET fails on a value of another type.
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
