-- Decides checks of several throttles, and of several subjects together, of small states. checks.lua decides those of one throttle on different
-- keys for less; batch.lua decides the same, and everything else, but costs more. What stands between `each algorithm` and `end algorithm` is repeated for each
-- algorithm of a call by src/redis/call/scripts.ts, and what stands before `frame` is what the algorithm needs for it. NEW stands for the
-- numbers of a state, STORED for the same in the tables by state, and NUMBERS_FORMAT, RECORD_FORMAT, RECORD_WIDTH and NO_RECORD for literals. The
-- algorithm's functions are inlined, because calling a function costs as much as its body.
--
-- KEYS     the values of the keys, as includes/records.lua describes them
-- ARGV[1]  the call's echo: a text of 8 bytes
-- ARGV[2]  JSON, a flat array of numbers:
--            clock      µs since the epoch; -1: use the server's clock
--            layers     how many layers follow, each: algorithm (its place among those of the call), id, count, period in µs, limit
--            shared     how many numbers follow: for each state the place of its key in KEYS; none where each key has one state, in the same order
--            runs       up to the end, each: repeats, amount, cells (their number), for each cell: layer, quantity; then for each of `repeats`
--                       checks, of `amount` callers each, the states of its cells. States are numbered from 1 as they are named first
-- ARGV[3]  1, only where MSETEX may be tried
-- Reply    the echo, and little-endian doubles: now, and for each state its record as it was read (NaN: a fresh state).
--          One byte more: MSETEX was refused, so it should not be tried again

--#include common.lua
--#include <algorithm>
-- By state: its numbers after the checks already decided.
local new1Of, new2Of, new3Of, new4Of = {}, {}, {}, {}
--#frame

local argument = cjson.decode(ARGV[2])
local clock = argument[1]
--#include read_clock.lua
--#include records.lua
--#include place_in.lua
--#include text_of.lua

local algorithmOf, quotas, idOf, widthOf = {}, {}, {}, {}
local at = 3
for layer = 1, argument[2] do
  algorithmOf[layer], idOf[layer] = argument[at], argument[at + 1]
  quotas[layer] = { count = argument[at + 2], period = argument[at + 3], limit = argument[at + 4] }
  widthOf[layer] = HEADER + 8 * (idOf[layer] % 16)
  at = at + 5
end
local keyOf, shared = at, argument[at]
at = at + shared + 1

local keys = KEYS
-- The values where across_slots.lua has read them.
local values = keys.values or call('MGET', unpack(keys))
-- By state: its layer; until when it is kept in Redis (nil: it is none); where its record begins in the value (nil: nowhere); whether it is
-- changed; and the record for the reply.
local layerOf, keptOf, offsetOf, isChanged, replied = {}, {}, {}, {}, {}
-- By layer: where its record began in the last value that held others too, and how long that value was. Mostly the values of a call are alike.
local lastOffset, lastLength = {}, {}
-- By key, where keys are shared: how many states it has.
local statesOf = {}

local loaded, finish = 0, #argument
while at <= finish do
  local repeats, count, cells = argument[at], argument[at + 1], argument[at + 2]
  local first = at + 3
  local last = first + 2 * cells - 2
  at = last + 2
  for _ = 1, repeats do
    local admitted = count
    local place = at
    for cell = first, last, 2 do
      local layer, quantity, state = argument[cell], argument[cell + 1], argument[place]
      place = place + 1
      local algorithm, quota = algorithmOf[layer], quotas[layer]
      local isLoaded, left = state <= loaded, 0
      local value
      if not isLoaded then
        loaded = state
        layerOf[state] = layer
        local key = state
        if shared > 0 then
          key = argument[keyOf + state]
          statesOf[key] = (statesOf[key] or 0) + 1
        end
        value = values[key]
      end
      --#each algorithm
      local NEW
      if isLoaded then
        NEW = STORED
      else
        local record, id, kept, OLD = NO_RECORD
        if value then
          local offset = 1
          if #value == RECORD_WIDTH then
            record = value
            id, kept, OLD = structUnpack(RECORD_FORMAT, value)
          elseif #value == lastLength[layer] then
            offset = lastOffset[layer]
            id, kept, OLD = structUnpack(RECORD_FORMAT, value, offset)
            record = value:sub(offset, offset + RECORD_WIDTH - 1)
          end
          if id ~= idOf[layer] then
            offset = isWholeLength[#value] and placeIn(value, idOf[layer], RECORD_WIDTH)
            if not offset then
              local offsets = offsetsIn(value)
              isWholeLength[#value] = offsets and true
              offset = offsets and offsets[idOf[layer]]
            end
            if offset then
              lastOffset[layer], lastLength[layer] = offset, #value
              id, kept, OLD = structUnpack(RECORD_FORMAT, value, offset)
              record = value:sub(offset, offset + RECORD_WIDTH - 1)
            else
              record, kept = NO_RECORD, nil
            end
          end
          offsetOf[state] = offset
        end
        local known = false
        if kept then
          kept = kept * 1000
          if kept > serverNow then
            known = valid(quota, OLD)
          else
            record = NO_RECORD
          end
        end
        if known then
          keptOf[state] = kept
          NEW = roll(now, quota, OLD)
        else
          NEW = open(now, quota)
        end
        STORED = NEW
        replied[state] = record
      end
      left = available(now, quota, NEW)
      --#end algorithm
      if quantity > 0 and left < quantity * admitted then
        admitted = (left - left % quantity) / quantity
      end
    end
    if admitted > 0 then
      place = at
      for cell = first, last, 2 do
        local quantity = argument[cell + 1]
        if quantity > 0 then
          local layer, state = argument[cell], argument[place]
          local algorithm, quota = algorithmOf[layer], quotas[layer]
          local spent = quantity * admitted
          --#each algorithm
          local NEW = STORED
          NEW = spend(spent, now, quota, NEW)
          STORED = NEW
          --#end algorithm
          isChanged[state] = true
        end
        place = place + 1
      end
    end
    at = at + cells
  end
end

-- Where MSETEX may be tried: values to be written together, in groups, and the group of each expiry. nil: each value is written by itself.
local groups, groupOf, group
local isRefused = false
if ARGV[3] then
  groups, groupOf, group = {}, {}, {}
end
-- By where a record begins: where its numbers do, as the text for SETRANGE, because Redis takes long to format a number.
local startOf = {}
-- What changes of keys of which several states are asked for, and the same by key.
local changes, changesOf = {}, {}
for state = 1, loaded do
  if isChanged[state] then
    local layer, key = layerOf[state], shared > 0 and argument[keyOf + state] or state
    local algorithm, quota = algorithmOf[layer], quotas[layer]
    local value, offset, id = values[key], offsetOf[state], idOf[layer]
    local isOfSeveral = shared > 0 and statesOf[key] > 1
    local expiry, isKept, text
    --#each algorithm
    local NEW = STORED
    expiry = expiresAt(quota, NEW)
    expiry = expiry + shift
    if not (expiry < LATEST_EXPIRY) then
      expiry = LATEST_EXPIRY
    end
    isKept = expiry == keptOf[state]
    if isKept and not isOfSeveral then
      -- SETRANGE keeps the TTL, and costs less than half as much as SET.
      local start = startOf[offset] or string.format('%d', offset + 11)
      startOf[offset] = start
      call('SETRANGE', keys[key], start, structPack(NUMBERS_FORMAT, NEW))
    else
      text = structPack(RECORD_FORMAT, id, expiry / 1000, NEW)
    end
    --#end algorithm
    if isOfSeveral then
      local change = changesOf[key]
      if not change then
        change = { key = key, ids = {}, texts = {}, starts = {}, latest = 0, isKept = true }
        changesOf[key], changes[#changes + 1] = change, change
      end
      local place = #change.ids + 1
      change.ids[place], change.starts[place] = id, offset
      change.texts[id] = text
      change.latest = max(change.latest, expiry)
      change.isKept = change.isKept and isKept
    elseif not isKept then
      if not value or offset and #value == widthOf[layer] then
        if groups then
          local key, latest = keys[key], expiry
          --#include into_group.lua
          group.isKept = false
        else
          call('SET', keys[key], text, 'PXAT', textOf(expiry))
        end
      else
        rewrite(keys[key], value, { id }, { [id] = text }, expiry)
      end
    end
  end
end
for place = 1, #changes do
  local change = changes[place]
  local key, ids, texts = keys[change.key], change.ids, change.texts
  if change.isKept then
    for record = 1, #ids do
      call('SETRANGE', key, change.starts[record] - 1, texts[ids[record]])
    end
  else
    rewrite(key, values[change.key] or '', ids, texts, change.latest)
  end
end
if groups then
  --#include write_groups.lua
  if isRefused then
    replied[loaded + 1] = ' '
  end
end
-- Put together in one step, because Lua hashes each text that is made.
replied[0] = ARGV[1] .. structPack('<d', now)
return table.concat(replied, '', 0)
