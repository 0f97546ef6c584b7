-- Decides one check of one layer: a call of its own for the lone caller. The algorithm's functions stand before it as locals, and of
-- all that stands before it only what it calls is left (scripts/straight-lua.ts): what a script defines is defined anew by each call.
--
-- KEYS[1]  the state
-- ARGV     clock (µs since the epoch; -1: the server's), count, period in µs, limit, steady (1 where only these numbers write the
--          state), quantity, times that it is asked
-- Reply    one text of little-endian doubles: now, and the state as it was read (NaN: a fresh key)

-- Arithmetic makes numbers of texts without a call to C.
local clock, quantity, count = ARGV[1] + 0, ARGV[6] + 0, ARGV[7] + 0
--#include read_clock.lua
local quota = { count = ARGV[2] + 0, period = ARGV[3] + 0, limit = ARGV[4] + 0 }
local steady = ARGV[5] == '1' and not passedIn
local key = KEYS[1]
local value = call('MGET', key)[1]
--#include decide_one.lua
if text then
  --#include write_state.lua
end
return structPack('<d', now) .. value
