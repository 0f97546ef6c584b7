-- Decides checks of one moving window on different keys. batch.lua decides the same, and everything else, but costs more. What is usual is
-- decided here: a log of which the last records and few at its head tell enough, and to which a record is added. checkLog decides the
-- rest, and is defined where it is first needed, because that takes time.
--
-- KEYS     the logs, as includes/log_records.lua describes them
-- ARGV     the call's echo; clock (µs since the epoch; -1: the server's); id, count, period in µs, limit; then for each run of adjacent
--          keys: the number of keys, the quantity, the number of identical checks, and 0. Without runs: one check of one unit on each key.
-- Reply    the echo, and little-endian doubles: now, and for each key the units available before, and the numbers of log_answers.lua

--#include common.lua
--#include text_of.lua
--#include log_records.lua

local formatted = string.format
-- `+ 0` converts a text to a number without a call to C.
local clock, period, limit = ARGV[2] + 0, ARGV[5] + 0, ARGV[6] + 0
--#include read_clock.lua

-- When a log expires whose newest entry is of now, without the shift.
local expiry = keptUntil(now, period)
local checkLog

-- Where the first look at a log begins: at its last record, or, where the last log was short, so that it holds all of such a log. Mostly the
-- logs of a call are alike, and Redis's Lua hashes each byte of a text that it is given.
local LAST_RECORD, SHORT_LOG = '-24', '-384'
local tail = SHORT_LOG
-- How many records to look at from a head on: the one before it and few entries, more once a log needed more.
local atHead, MORE_AT_HEAD = 5, 9

-- The time of the first entry, from `at` in the chunk on, up to which there are `leaving` units. Looks at `others` entries, and takes the newest
-- if none of them suffices. nil: they are not all in the chunk.
local function entryWith(leaving, chunk, at, others, before, newest)
  local finish = at + others * RECORD
  while at < finish do
    if at > #chunk then
      atHead = MORE_AT_HEAD
      return nil
    end
    local time, sum = structUnpack('<dd', chunk, at)
    if minus(sum, before) >= leaving then
      -- Another program has damaged the log if the time is outside of the span or not whole.
      return time + period > now and time <= newest and time % 1 == 0 and time or newest
    end
    at = at + RECORD
  end
  return newest
end

local keys, replies = KEYS, {}
local last = 0
for run = 7, max(#ARGV, 7), 4 do
  local first, quantity, count = last + 1, 1, 1
  if ARGV[run] then
    last, quantity, count = last + ARGV[run], ARGV[run + 1] + 0, ARGV[run + 2] + 0
  else
    last = #keys
  end
  local asked = quantity > 0 and quantity or 1
  for place = first, last do
    local key = keys[place]
    -- pcall, because a value of another type counts as no log.
    local chunk = redis.pcall('GETRANGE', key, tail, '-1')
    local isUsual, stored, live = chunk == '', 0, 0
    -- The newest entry; the sum before the span; and the oldest entry in the span, which begins at `at`.
    local newest, sum, before, at, oldest, total = 0, 0, 0, 1, 0, 0
    if not isUsual and type(chunk) == 'string' and #chunk >= RECORD then
      newest, sum, stored = structUnpack('<ddd', chunk, #chunk - RECORD + 1)
      -- As isRecord has it, because calling a function costs more.
      isUsual = stored >= 1 and stored <= MAXIMUM_ENTRIES and stored % 1 == 0 and newest >= 0 and newest <= MAXIMUM_UNITS
      isUsual = isUsual and newest % 1 == 0 and sum >= 0 and sum <= MAXIMUM_UNITS and sum % 1 == 0
      if isUsual then
        local start = -(stored + 1) * RECORD
        at = #chunk + start + 1
        if at < 1 then
          -- Formatted here, because Redis takes longer to format a number.
          local length = (stored < atHead and stored + 1 or atHead) * RECORD
          chunk, at = call('GETRANGE', key, formatted('%d', start), formatted('%d', start + length - 1)), 1
          isUsual = #chunk == length
        end
        tail = stored < 16 and SHORT_LOG or LAST_RECORD
      end
      if isUsual then
        local time, marker
        time, before, marker, oldest, total = structUnpack('<ddddd', chunk, at)
        isUsual = time >= 0 and time <= MAXIMUM_UNITS and time % 1 == 0 and marker >= 0 and marker <= MAXIMUM_ENTRIES and marker % 1 == 0
        at = at + RECORD
        if newest + period <= now then
          live, before = stored, sum
        else
          while isUsual and oldest + period <= now do
            before, live, at = total, live + 1, at + RECORD
            isUsual = at <= #chunk
            if isUsual then
              oldest, total = structUnpack('<dd', chunk, at)
            else
              atHead = MORE_AT_HEAD
            end
          end
        end
        isUsual = isUsual and before >= 0 and before <= MAXIMUM_UNITS and before % 1 == 0
      end
    end
    local available, resetAfter, retryAfter, nextAfter
    if isUsual then
      local entries = stored - live
      local used = entries == 0 and 0 or sum < before and sum - before + MODULUS or sum - before
      available = limit > used and limit - used or 0
      local admitted = count
      if quantity > 0 and available < quantity * admitted then
        admitted = (available - available % quantity) / quantity
      end
      local spent = quantity * admitted
      local latest, others = newest, entries - 1
      if spent > 0 then
        -- Entries of one time are merged, and entries beyond the most.
        isUsual = entries == 0 or now > newest and entries < MAXIMUM_ENTRIES
        used, latest, others = used + spent, now, entries
      end
      local left = limit > used and limit - used or 0
      resetAfter, retryAfter, nextAfter = 0, 0, 0
      if used > 0 then
        resetAfter = latest + period - now
      end
      -- The oldest entry mostly makes enough room.
      local units = entries > 0 and oldest <= latest and oldest % 1 == 0 and minus(total, before) or 0
      if isUsual and asked <= limit and asked > left then
        local leaving = used - (limit - asked)
        local time = units >= leaving and oldest or entryWith(leaving, chunk, at, others, before, latest)
        isUsual = time and true
        retryAfter = isUsual and time + period - now
      end
      if isUsual and asked == left + 1 then
        nextAfter = retryAfter
      elseif isUsual and left < limit then
        local leaving = used - (limit - left - 1)
        local time = units >= leaving and oldest or entryWith(leaving, chunk, at, others, before, latest)
        isUsual = time and true
        nextAfter = isUsual and time + period - now
      end
      if isUsual and spent > 0 then
        if entries == 0 then
          local records = structPack('<dddddd', 0, before, 0, now, plus(before, spent), 1)
          call('SET', key, records, 'PXAT', textOf(expiry + shift))
        else
          local length = call('APPEND', key, structPack('<ddd', now, plus(sum, spent), entries + 1))
          if shift ~= 0 or keptUntil(newest, period) ~= expiry then
            call('PEXPIREAT', key, textOf(expiry + shift))
          end
          if length > 34 * RECORD then
            compact(key, length, entries + 1)
          end
        end
      end
    end
    if not isUsual then
      if not checkLog then
        --#include check_log.lua
      end
      available, resetAfter, retryAfter, nextAfter = checkLog(key, quantity, count)
    end
    local reply = 4 * place - 3
    replies[reply], replies[reply + 1], replies[reply + 2], replies[reply + 3] = available, resetAfter, retryAfter, nextAfter
  end
end
-- Put together in one step, because Lua hashes each text that is made.
return structPack('<c8' .. string.rep('d', #replies + 1), ARGV[1], now, unpack(replies))
