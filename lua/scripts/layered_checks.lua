-- Decides checks of several layers of one algorithm on keys that differ: of all layers of a check is spent, or of none. Put together as
-- each.lua is; the driver's twin of it knows all algorithms and costs half as much again.
--
-- KEYS     the states, those of a check one after another
-- ARGV     the call's echo; clock (µs since the epoch; -1: the server's), layers, and of each layer: count, period in µs, limit, steady (1 where only
--          these numbers write the states); then as in each.lua, of checks that follow each other
-- Reply    the echo, and little-endian doubles: now, and each state as it was read (NaN: a fresh key)

local clock, layers = ARGV[2] + 0, ARGV[3] + 0
--#include read_clock.lua
local quotas = {}
for layer = 1, layers do
  local at = 4 * layer
  quotas[layer] = {
    count = ARGV[at] + 0,
    period = ARGV[at + 1] + 0,
    limit = ARGV[at + 2] + 0,
    steady = ARGV[at + 3] == '1' and not passedIn,
  }
end
local keys = KEYS
local values = call('MGET', unpack(keys))
-- Of each layer of a check: whether its state is known, its numbers as they were, and as they are now.
local isKnown, were1, were2, were3, were4, are1, are2, are3, are4 = {}, {}, {}, {}, {}, {}, {}, {}, {}
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
      isKnown[layer], were1[layer], were2[layer], were3[layer], were4[layer] = known, w, x, y, z
      are1[layer], are2[layer], are3[layer], are4[layer] = a, b, c, d
    end
    if quantity > 0 and admitted > 0 then
      local spent = quantity * admitted
      for layer = 1, layers do
        local key, quota, steady, known = keys[before + layer], quotas[layer], quotas[layer].steady, isKnown[layer]
        local w, x, y, z = were1[layer], were2[layer], were3[layer], were4[layer]
        local a, b, c, d = are1[layer], are2[layer], are3[layer], are4[layer]
        local text, expiry
        --#include spend_one.lua
        --#include write_state.lua
      end
    end
  end
end
return ARGV[1] .. structPack('<d', now) .. table.concat(values)
