-- Notes which states ids stand for, so that people and tools can read the values of keys.
--
-- KEYS[1]  a sorted set: by id, the name of the state and its quota
-- ARGV     the call's echo; the set's time to live in ms; how many the set may hold; then for each state: id, text
-- Reply    the echo

local names, last = KEYS[1], ARGV[3] - 1
for place = 4, #ARGV, 2 do
  local id, text = ARGV[place], ARGV[place + 1]
  if redis.call('ZRANGE', names, id, id, 'BYSCORE', 'LIMIT', 0, 1)[1] ~= text then
    redis.call('ZREMRANGEBYSCORE', names, id, id)
    if not redis.call('ZRANGE', names, last, last)[1] then
      redis.call('ZADD', names, id, text)
    end
  end
end
redis.call('PEXPIRE', names, ARGV[2])
return { ARGV[1] }
