-- Decides checks of one throttle on different keys, whose layers all have one algorithm. batch.lua decides the same, and everything else, but
-- costs more. Written for one layer. For more, src/redis/call/unroll.ts repeats what stands between `each` and `end`, and replaces names that
-- end in _1 elsewhere by those of all layers. OLD and NEW stand for the numbers of a state, CHANGED for those of a value that change where each
-- record is kept as long as before. The algorithm's functions are inlined, because calling a function costs as much as its body; other
-- functions are defined where they are first needed, because defining one takes time in each run of the script.
--
-- KEYS     the values of the keys, as includes/records.lua describes them
-- ARGV     the call's echo; clock (µs since the epoch; -1: the server's); for each layer: the id of its state, count, period in µs, limit;
--          then for each run of adjacent keys: the number of keys, the quantity, the number of identical checks, and the most units to lease
--          to each key when all its checks are admitted, see src/algorithms/lease.ts. Without runs: one check of one unit on each key.
--          Last, only where MSETEX may be tried: 1
-- Reply    the echo, and little-endian doubles: now, and for each key the records of the layers as they were read (NaN: a fresh state).
--          One byte more: MSETEX was refused, so it should not be tried again

--#include common.lua
--#include <algorithm>

-- `+ 0` converts a text to a number without a call to C.
local clock = ARGV[2] + 0
--#include read_clock.lua
local at = 3
--#each
local id_1 = ARGV[at] + 0
local quota_1 = { count = ARGV[at + 1] + 0, period = ARGV[at + 2] + 0, limit = ARGV[at + 3] + 0 }
at = at + 4
--#end
-- For values that hold other records too.
local findAmong, writeAmong
-- The first id of this throttle as bytes; and by the length of a value where its records were seen to lie together, each with the text for
-- SETRANGE, which counts from 0. nil before the first such value. Mostly the values of a call are alike but for the order of their records.
local idText, startsOf, find, sub

local finish = #ARGV
-- Where MSETEX may be tried: values to be written together, in groups, and the group of each expiry. nil: each value is written by itself.
local groups, groupOf, group
local isRefused = false
if (finish - at) % 4 == 0 then
  groups, groupOf, group = {}, {}, {}
  finish = finish - 1
end

local keys = KEYS
-- The values where across_slots.lua has read them.
local values = keys.values or call('MGET', unpack(keys))
local last = 0
for run = at, max(finish, at), 4 do
  local first, quantity, count, most = last + 1, 1, 1, 0
  if run < finish then
    last, quantity, count, most = last + ARGV[run], ARGV[run + 1] + 0, ARGV[run + 2] + 0, ARGV[run + 3] + 0
  else
    last = #keys
  end
  -- The units that those checks spend that can be admitted.
  local wanted = quantity * count
  for place = first, last do
    local value = values[place]
    -- The whole value if it holds other records as well, and where in it SETRANGE may write what changes. nil: nowhere.
    local whole, start = nil, 'CHANGED_START'
    local read_1, until_1, OLD
    if value then
      if #value == width then
        read_1, until_1, OLD = structUnpack(format, value)
      elseif startsOf then
        local offset, starts = find(value, idText, 1, true), startsOf[#value]
        start = starts and starts[offset]
        if start then
          whole = value
          read_1, until_1, OLD = structUnpack(format, value, offset)
          values[place] = sub(value, offset, offset + width - 1)
        end
      end
      --#each
      if read_1 ~= id_1 then
        start = nil
      end
      --#end
      if not start then
        if not findAmong then
          --#include among_others.lua
        end
        whole = value
        value, start = findAmong(whole)
        values[place] = value
        read_1, until_1, OLD = structUnpack(format, value)
      end
    else
      values[place] = nothing
    end
    local spent, hasExpired = wanted, false
    --#each
    local known_1, kept_1 = false, nil
    if until_1 then
      kept_1 = until_1 * 1000
      if kept_1 > serverNow then
        known_1 = valid(quota_1, OLD)
      else
        old1_1, hasExpired = 0 / 0, true
      end
    end
    local NEW
    if known_1 then
      NEW = roll(now, quota_1, OLD)
    else
      NEW = open(now, quota_1)
    end
    local left_1 = available(now, quota_1, NEW)
    if left_1 < spent then
      spent = left_1 - left_1 % quantity
    end
    --#end
    if hasExpired then
      values[place] = structPack(format, read_1, until_1, OLD)
    end
    if spent > 0 then
      if most > 0 and spent == wanted then
        local leased = most
        --#each
        left_1 = left_1 - spent
        leased = min(leased, (left_1 - left_1 % 8) / 8)
        --#end
        leased = leased - leased % quantity
        if leased >= 2 then
          spent = spent + leased
        end
      end
      local key, isKept = keys[place], start
      --#each
      NEW = spend(spent, now, quota_1, NEW)
      local expiry_1 = expiresAt(quota_1, NEW)
      expiry_1 = expiry_1 + shift
      if expiry_1 ~= kept_1 or not known_1 then
        isKept = false
      end
      --#end
      if groups and not whole then
        --#include group_value.lua
      elseif isKept then
        -- SETRANGE keeps the TTL, and costs less than half as much as SET.
        call('SETRANGE', key, start, structPack(CHANGED_FORMAT, CHANGED))
      else
        if not textOf then
          --#include text_of.lua
        end
        local latest, before = 0, 0
        --#each
        if not (expiry_1 < LATEST_EXPIRY) then
          expiry_1 = LATEST_EXPIRY
        end
        until_1 = expiry_1 / 1000
        if expiry_1 > latest then
          latest = expiry_1
        end
        if known_1 and kept_1 > before then
          before = kept_1
        end
        --#end
        local text = structPack(format, id_1, until_1, NEW)
        -- A single record is then kept as long as before, so that it was written above.
        if latest == before and start and CHANGED_START == 0 then
          call('SETRANGE', key, start, text)
        elseif whole then
          writeAmong(key, whole, text, latest, before)
        else
          call('SET', key, text, 'PXAT', textOf(latest))
        end
      end
    end
  end
end
if groups then
  --#include write_groups.lua
  if isRefused then
    values[#keys + 1] = ' '
  end
end
-- Put together in one step, because Lua hashes each text that is made.
values[0] = ARGV[1] .. structPack('<d', now)
return table.concat(values, '', 0)
