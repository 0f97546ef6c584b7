-- Decides one check of one layer: a call of its own for the lone caller, without the driver's room for many.
--
-- KEYS[1]  the state
-- ARGV     clock (µs since the epoch; -1: the server's), count, period in µs, limit, steady (1 where only these numbers write the
--          state), quantity, times that it is asked
-- Reply    one text of little-endian doubles: now, and the state as it was read (NaN: a fresh key)

local now, passedIn = readClock(tonumber(ARGV[1]))
local quota = { count = tonumber(ARGV[2]), period = tonumber(ARGV[3]), limit = tonumber(ARGV[4]) }
quota.steady = ARGV[5] == '1' and not passedIn
local values, written, expiries = call('MGET', KEYS[1]), {}, {}
decideEach(now, algorithms[1], quota, tonumber(ARGV[6]), tonumber(ARGV[7]), 1, 1, values, written, expiries)
if written[1] then
  write(KEYS[1], written[1], expiries[1], now, passedIn)
end
return structPack('<d', now) .. values[1]
