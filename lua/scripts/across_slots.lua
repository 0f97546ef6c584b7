#!lua flags=allow-cross-slot-keys
-- Runs a call on keys of several slots of one node of a cluster. Their names are in ARGV, because EVALSHA takes only keys of one slot. Reads
-- each key before anything is decided, so that a key which the node does not serve stops the call before the first write: later commands on
-- the key then find what its first found. src/redis/call/scripts.ts inserts the script that decides.
--
-- KEYS     none
-- ARGV     how many keys are values; how many keys there are; their names; then the arguments of the call
-- Reply    that of the call; or the error `ELSEWHERE` with the places of the keys that could not be read, from 1. Nothing was counted then.

local function decideCall(KEYS, ARGV)
--#include <script>
end

local small, count = ARGV[1] + 0, ARGV[2] + 0
local names, values, elsewhere = {}, {}, {}
for place = 1, count do
  local name = ARGV[place + 2]
  names[place] = name
  -- Key by key, because no command takes keys of several slots. Valkey 9.1 even refuses all scripts after one that tried.
  if place <= small then
    local found = redis.pcall('MGET', name)
    values[place] = found[1]
    if found.err then
      elsewhere[#elsewhere + 1] = place
    end
  else
    local found = redis.pcall('STRLEN', name)
    if type(found) == 'table' and not found.err:find('WRONGTYPE', 1, true) then
      elsewhere[#elsewhere + 1] = place
    end
  end
end
if elsewhere[1] then
  return redis.error_reply('ELSEWHERE ' .. table.concat(elsewhere, ' '))
end
names.values = values
return decideCall(names, { unpack(ARGV, count + 3) })
