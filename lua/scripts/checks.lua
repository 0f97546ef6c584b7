-- Decides checks of one layer on keys that differ: the usual call, and that of a lone caller. batch.lua decides the same, and all else.
-- Made once for each algorithm whose state is a few numbers: its functions are put in where they are called, and what is not used is
-- left out, for a script defines its functions anew by each call, and a call within it costs as much as what the function does.
-- Worth 8 to 19 % of a call's cost in Redis: `npm run lua:cost` measures it.
--
-- KEYS     the states
-- ARGV     the call's echo; clock (µs since the epoch; -1: the server's; -2: the server's, and only these numbers write the states), count, period in
--          µs, limit; then for keys that follow each other: how many they are, the quantity, times that it is asked. Where that is
--          missing, one unit is asked of each once.
-- Reply    the echo, and little-endian doubles: now, and each state as it was read (NaN: a fresh key)

--#include common.lua
--#include <algorithm>

-- Arithmetic makes numbers of texts without a call to C.
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
