-- Makes a call safe to be sent again: each place of a store, of which there are a few, has a record of its last call and the reply.
-- src/redis/call/scripts.ts puts in the script that decides.
--
-- KEYS     those of the call, and last the record
-- ARGV     those of the call, and last: the call's number, which only rises at a place; ms that the record lives
-- Reply    that of the call, which starts with its echo; where it was made before, what was replied then; nil to a late duplicate of an earlier call

local function decideCall()
--#include <script>
end

local record, lifetime, number = table.remove(KEYS), table.remove(ARGV), tonumber(table.remove(ARGV))
-- GET would fail on a value of another type.
local seen = redis.call('MGET', record)[1]
if seen and #seen >= 8 then
  local last = struct.unpack('<d', seen)
  -- A reply without the call's echo was written by somebody else: it is replaced.
  if last == number and seen:sub(9, 16) == ARGV[1] then
    return seen:sub(9)
  end
  -- What is no number of a call was written by somebody else: it is replaced.
  if last > number and last <= 9007199254740991 and last % 1 == 0 then
    return false
  end
end
local reply = decideCall()
-- Refused, out of memory, only where nothing else was written: then it does no harm to decide again.
redis.pcall('SET', record, struct.pack('<d', number) .. reply, 'PX', lifetime)
return reply
