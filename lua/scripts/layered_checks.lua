-- Decides checks of several layers of one algorithm on different keys. A check spends from all its layers or from none. batch.lua decides
-- the same for all algorithms, but costs half as much again. Generated once for each algorithm, as checks.lua is. Inlining saves 5 to 14 %
-- of a call's cost in Redis, as `npm run lua:cost` measures.
--
-- KEYS     the states, grouped by check
-- ARGV     the call's echo; clock (µs since the epoch; -1: the server's); the number of layers; for each layer: count, period in µs, limit,
--          fixedQuota (1: only a quota of these numbers writes the states); then runs of adjacent checks, as in checks.lua
-- Reply    the echo, and little-endian doubles: now, and each state as it was read (NaN: a fresh key)

--#include common.lua
--#include <algorithm>

local clock, layers = ARGV[2] + 0, ARGV[3] + 0
--#include read_clock.lua
local quotas = {}
for layer = 1, layers do
  local at = 4 * layer
  quotas[layer] = {
    count = ARGV[at] + 0,
    period = ARGV[at + 1] + 0,
    limit = ARGV[at + 2] + 0,
    fixedQuota = ARGV[at + 3] == '1' and not passedIn,
  }
end
local keys = KEYS
local values = call('MGET', unpack(keys))
-- For each layer of a check: whether its state is known, the numbers read, and the new numbers.
local isKnown, old1Of, old2Of, old3Of, old4Of, new1Of, new2Of, new3Of, new4Of = {}, {}, {}, {}, {}, {}, {}, {}, {}
local last = 0
local runs = 4 + 4 * layers
for run = runs, max(#ARGV, runs), 3 do
  local first, quantity, count = last + 1, 1, 1
  if ARGV[run] then
    last, quantity, count = last + ARGV[run], ARGV[run + 1] + 0, ARGV[run + 2] + 0
  else
    last = #keys / layers
  end
  for check = first, last do
    local before = (check - 1) * layers
    local admitted = count
    for layer = 1, layers do
      local quota, value = quotas[layer], values[before + layer]
      --#include read_one.lua
      if quantity > 0 and left < quantity * admitted then
        admitted = (left - left % quantity) / quantity
      end
      values[before + layer] = value
      isKnown[layer], old1Of[layer], old2Of[layer], old3Of[layer], old4Of[layer] = known, old1, old2, old3, old4
      new1Of[layer], new2Of[layer], new3Of[layer], new4Of[layer] = new1, new2, new3, new4
    end
    if quantity > 0 and admitted > 0 then
      local spent = quantity * admitted
      for layer = 1, layers do
        local key, quota, fixedQuota, known = keys[before + layer], quotas[layer], quotas[layer].fixedQuota, isKnown[layer]
        local old1, old2, old3, old4 = old1Of[layer], old2Of[layer], old3Of[layer], old4Of[layer]
        local new1, new2, new3, new4 = new1Of[layer], new2Of[layer], new3Of[layer], new4Of[layer]
        local text, expiry
        --#include spend_one.lua
        --#include write_state.lua
      end
    end
  end
end
return ARGV[1] .. structPack('<d', now) .. table.concat(values)
