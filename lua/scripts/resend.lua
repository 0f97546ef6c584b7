-- Makes a call safe to resend. Each of a store's few indexes of calls in flight has a record, which holds the number of its last call and
-- the reply. src/redis/call/scripts.ts inserts the script that decides.
--
-- KEYS     those of the call, then the record
-- ARGV     those of the call, then the call's number, which only rises per record, and the record's time to live in ms
-- Reply    that of the call, which starts with its echo; the recorded reply if the call was made before; nil for a late duplicate of an
--          earlier call

local function decideCall()
--#include <script>
end

local record, lifetime, number = table.remove(KEYS), table.remove(ARGV), tonumber(table.remove(ARGV))
-- MGET, because GET fails on a value of another type.
local seen = redis.call('MGET', record)[1]
if seen and #seen >= 8 then
  local last = struct.unpack('<d', seen)
  -- A reply without the call's echo was written by another program, so it is replaced.
  if last == number and seen:sub(9, 16) == ARGV[1] then
    return seen:sub(9)
  end
  -- A number that no call can have was written by another program, so it is replaced.
  if last > number and last <= 9007199254740991 and last % 1 == 0 then
    return false
  end
end
local reply = decideCall()
-- pcall, because a full Redis refuses this SET only if it refused the call's writes too, so that deciding again does no harm.
redis.pcall('SET', record, struct.pack('<d', number) .. reply, 'PX', lifetime)
return reply
