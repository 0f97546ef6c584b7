-- Decides checks of one layer on different keys, which is the usual call. batch.lua decides the same, and everything else.
-- One such script is generated for each algorithm whose state is a few numbers. The algorithm's functions are inlined and unused code is
-- left out, because each run of a script defines its functions anew, and calling a function costs as much as its body.
-- That saves 8 to 19 % of a call's cost in Redis, as `npm run lua:cost` measures.
--
-- KEYS     the states
-- ARGV     the call's echo; clock (µs since the epoch; -1: the server's; -2: the server's, and only a quota of these numbers writes the
--          states); count; period in µs; limit; then for each run of adjacent keys: the number of keys, the quantity, and the number of
--          identical checks. Without runs: one check of one unit on each key.
-- Reply    the echo, and little-endian doubles: now, and each state as it was read (NaN: a fresh key)

--#include common.lua
--#include <algorithm>

-- `+ 0` converts a text to a number without a call to C.
local clock = ARGV[2] + 0
--#include read_clock.lua
local quota = { count = ARGV[3] + 0, period = ARGV[4] + 0, limit = ARGV[5] + 0 }
local fixedQuota = clock == -2
local keys = KEYS
local values = call('MGET', unpack(keys))
local last = 0
for run = 6, max(#ARGV, 6), 3 do
  local first, quantity, count = last + 1, 1, 1
  if ARGV[run] then
    last, quantity, count = last + ARGV[run], ARGV[run + 1] + 0, ARGV[run + 2] + 0
  else
    last = #keys
  end
  for place = first, last do
    local key, value = keys[place], values[place]
    --#include decide_one.lua
    if text then
      --#include write_state.lua
    end
    values[place] = value
  end
end
return ARGV[1] .. structPack('<d', now) .. table.concat(values)
