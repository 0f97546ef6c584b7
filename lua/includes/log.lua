-- An exact log. Lua implementation of src/algorithms/moving-window.ts. The state here is a table that is read from the key, changed by spend,
-- and written back. Its entries count from 0, which is the oldest that was not dropped when the log was read.

--#include log_records.lua

-- Bytes read at once. Many logs are no longer, and the oldest entries of a longer log are adjacent.
local CHUNK = 16 * RECORD

-- `stored`: how many entries were read; `entries`: how many there are; `kept`: how many of those read are unchanged, so that the others are
-- in `times` and `sums`; `head`: the first not dropped; `base`: the sum before it; `live`: the first in the span; `before`: the sum before that.
local function empty()
  return { stored = 0, entries = 0, kept = 0, head = 0, base = 0, live = 0, before = 0, times = {}, sums = {}, fresh = true }
end

-- The time and the sum of an entry; of -1 those of the record before all entries.
local function entry(log, index)
  if index >= log.kept then
    return log.times[index], log.sums[index]
  end
  -- Counted from the end of the value, where it was read.
  local offset = (index - log.stored) * RECORD
  if offset < log.from or offset + RECORD > log.from + #log.chunk then
    log.from = offset
    log.chunk = call('GETRANGE', log.key, offset, offset + RECORD - 1)
  end
  local time, sum = structUnpack('<dd', log.chunk, offset - log.from + 1)
  return time, sum
end

local function newestOf(log)
  return entry(log, log.entries - 1)
end

-- The first index in [`low`, `high`) for which holds(time, sum) is true, or `high`. holds must stay true from there on.
-- Gallops from `low`, because the entry is mostly near it.
local function firstWhere(log, low, high, holds)
  local step = 1
  while low + step <= high and not holds(entry(log, low + step - 1)) do
    low = low + step
    step = step * 2
  end
  high = min(high, low + step - 1)
  while low < high do
    local middle = floor((low + high) / 2)
    if holds(entry(log, middle)) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local function read(key)
  local chunk = redis.pcall('GETRANGE', key, -CHUNK, -1)
  -- A value of another type counts as no log. On any other error, such as a missing permission, the repeated call raises the error.
  if type(chunk) ~= 'string' and not chunk.err:find('WRONGTYPE', 1, true) then
    call('GETRANGE', key, -CHUNK, -1)
  end
  if type(chunk) ~= 'string' or #chunk < 2 * RECORD then
    return empty()
  end
  local newest, sum, count = structUnpack('<ddd', chunk, #chunk - RECORD + 1)
  if count == 0 or not isRecord(newest, sum, count) then
    return empty()
  end
  local log = { key = key, chunk = chunk, from = -#chunk, stored = count, entries = count, kept = count - 1 }
  log.times, log.sums = { [count - 1] = newest }, { [count - 1] = sum }
  local start = -(count + 1) * RECORD
  if start < log.from then
    log.from = start
    log.chunk = call('GETRANGE', key, start, start + CHUNK - 1)
  end
  if start < -#chunk and #log.chunk < CHUNK then
    return empty()
  end
  local time, base, before = structUnpack('<ddd', log.chunk, start - log.from + 1)
  if not isRecord(time, base, before) then
    return empty()
  end
  log.head, log.base, log.live = 0, base, 0
  return log
end

local function sumBefore(log)
  if log.live > log.head then
    local _, sum = entry(log, log.live - 1)
    return sum
  end
  return log.base
end

local function used(log)
  if log.live < log.entries then
    local _, sum = newestOf(log)
    return minus(sum, log.before)
  end
  return 0
end

local function open()
  return empty()
end

local function roll(now, quota, log)
  -- If the newest entry has left the span, all entries have. Tested first, because a log that another program damaged may not be sorted.
  if log.entries > 0 and newestOf(log) + quota.period <= now then
    log.live = log.entries
  else
    log.live = firstWhere(log, log.head, log.entries, function(time)
      return time + quota.period > now
    end)
  end
  log.before = sumBefore(log)
  if not isWhole(log.before, MAXIMUM_UNITS) then
    return empty()
  end
  return log
end

local function available(now, quota, log)
  return max(quota.limit - used(log), 0)
end

local function drop(log)
  if log.live > log.head then
    log.base = log.before
    log.head = log.live
  end
end

local function giveBackOldest(log, quantity)
  local given = min(quantity, used(log))
  local before = log.before
  log.live = firstWhere(log, log.live, log.entries, function(_, sum)
    return minus(sum, before) > given
  end)
  log.head = log.live
  log.base = plus(before, given)
  log.before = log.base
  log.baseChanged = true
  return log
end

-- Makes `index` the newest entry.
local function put(log, index, time, sum)
  log.times[index], log.sums[index] = time, sum
  log.changedFrom = min(log.changedFrom or index, index)
  log.entries = index + 1
end

local function spend(quantity, now, quota, log)
  if quantity < 0 then
    return giveBackOldest(log, -quantity)
  end
  drop(log)
  local any = log.entries > log.head
  local newest, latest = 0, log.base
  if any then
    newest, latest = newestOf(log)
  end
  local time = max(now, newest)
  local sum = plus(latest, min(quantity, MAXIMUM_UNITS - used(log)))
  local merges = any and (newest == time or log.entries - log.head >= MAXIMUM_ENTRIES)
  put(log, merges and log.entries - 1 or log.entries, time, sum)
  log.before = log.base
  return log
end

local function resetAfter(now, quota, log)
  if used(log) > 0 then
    return newestOf(log) + quota.period - now
  end
  return 0
end

local function retryAfter(quantity, now, quota, log)
  local leaving = used(log) - (quota.limit - quantity)
  local before = log.before
  -- Try the oldest entry first, because it mostly makes enough room.
  local time, oldest = entry(log, log.live)
  if minus(oldest, before) < leaving then
    local enough = firstWhere(log, log.live + 1, log.entries - 1, function(_, sum)
      return minus(sum, before) >= leaving
    end)
    time = entry(log, enough)
  end
  -- The log was damaged by another program if the time is outside the span or not whole. Wait for the newest entry then.
  local newest = newestOf(log)
  if not (time + quota.period > now and time <= newest and time % 1 == 0) then
    time = newest
  end
  return time + quota.period - now
end

local function giveBack(quantity, mark, now, quota, log)
  if mark + quota.period > now then
    return giveBackOldest(log, quantity)
  end
  return log
end

-- As of when leased units are charged. As of the end of their lease, so that any span of one period holds at most the limit.
local function leasedAt(now, within)
  return now + within
end

local function expiresAt(quota, log)
  local newest = newestOf(log)
  return keptUntil(newest, quota.period)
end

-- The records from entry `first` on.
local function recordsFrom(log, first)
  local records = {}
  for index = first, log.entries - 1 do
    local time, sum = entry(log, index)
    records[#records + 1] = structPack('<ddd', time, sum, index - log.head + 1)
  end
  return table.concat(records)
end

-- Writes the changes of spend. `expiry` is a text in ms since the epoch; nil keeps the key's TTL.
local function write(key, expiry, log)
  if used(log) == 0 then
    call('DEL', key)
    return
  end
  local stored = log.stored
  -- Where only the head has changed, the newest entry has to tell so.
  local first = log.changedFrom or log.entries - 1
  if log.fresh or log.head >= first then
    local value = structPack('<ddd', 0, log.base, 0) .. recordsFrom(log, log.head)
    if expiry then
      call('SET', key, value, 'PXAT', expiry)
    else
      call('SET', key, value, 'KEEPTTL')
    end
    return
  end
  local length
  if first == stored and not log.baseChanged then
    length = call('APPEND', key, recordsFrom(log, first))
  else
    local finish = call('STRLEN', key)
    if log.baseChanged then
      call('SETRANGE', key, finish + (log.head - 1 - stored) * RECORD + 8, structPack('<d', log.base))
    end
    length = call('SETRANGE', key, finish + (first - stored) * RECORD, recordsFrom(log, first))
  end
  if expiry then
    call('PEXPIREAT', key, expiry)
  end
  compact(key, length, log.entries - log.head)
end
