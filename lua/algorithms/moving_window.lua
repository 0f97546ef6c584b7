-- An exact log. Lua implementation of src/algorithms/moving-window.ts.
-- In Redis a log is one string of records of two doubles: first (head, base), then one record for each entry (time, sum of all units so
-- far). Any entry is read in O(1), so that every lookup is a binary search. `head` is the first entry not dropped, `base` the sum before
-- that entry; sums wrap at 2^53. The state here is a table that is read from the key, changed by spend, and written back.

local MAXIMUM_ENTRIES = 1048576
local MODULUS = 9007199254740992
local SLACK = 32
local RECORD = 16
-- Bytes read at once. Most logs are no longer, and the oldest entries of a longer log are adjacent.
local CHUNK = 1024

local function plus(sum, units)
  if sum >= MODULUS - units then
    return sum - (MODULUS - units)
  end
  return sum + units
end

local function minus(sum, earlier)
  if sum < earlier then
    return sum - earlier + MODULUS
  end
  return sum - earlier
end

local function empty()
  return { entries = 0, head = 0, base = 0, live = 0, before = 0, fresh = true }
end

-- The time and the sum of entry `index`, which counts from 0.
local function entry(log, index)
  if index == log.entries - 1 and log.newest then
    return log.newest, log.sum
  end
  if index == log.entries - 2 and log.unwritten then
    return log.unwritten, log.unwrittenSum
  end
  local offset = (index + 1) * RECORD
  if offset < log.from or offset + RECORD > log.from + #log.chunk then
    log.from = offset
    log.chunk = call('GETRANGE', log.key, offset, offset + RECORD - 1)
  end
  local time, sum = structUnpack('<dd', log.chunk, offset - log.from + 1)
  return time, sum
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
  local chunk = redis.pcall('GETRANGE', key, 0, CHUNK - 1)
  -- A value of another type counts as no log. On any other error, such as a missing permission, the repeated call raises the error.
  if type(chunk) ~= 'string' and not chunk.err:find('WRONGTYPE', 1, true) then
    call('GETRANGE', key, 0, CHUNK - 1)
  end
  if type(chunk) ~= 'string' or #chunk < 2 * RECORD then
    return empty()
  end
  local length = #chunk
  if length == CHUNK then
    length = call('STRLEN', key)
  end
  local log = { key = key, chunk = chunk, from = 0, entries = length / RECORD - 1 }
  log.head, log.base = structUnpack('<dd', chunk)
  if length % RECORD ~= 0 or not isWhole(log.head, log.entries - 1) or not isWhole(log.base, MAXIMUM_UNITS) then
    return empty()
  end
  log.newest, log.sum = entry(log, log.entries - 1)
  if not isWhole(log.newest, MAXIMUM_UNITS) or not isWhole(log.sum, MAXIMUM_UNITS) then
    return empty()
  end
  if length > CHUNK then
    log.from = (log.head + 1) * RECORD
    log.chunk = call('GETRANGE', key, log.from, log.from + CHUNK - 1)
  end
  log.live = log.head
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
    return minus(log.sum, log.before)
  end
  return 0
end

local function open()
  return empty()
end

local function roll(now, quota, log)
  -- If the newest entry has left the span, all entries have. Tested first, because a log that another program damaged may not be sorted.
  if log.newest and log.newest + quota.period <= now then
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
    log.headChanged = true
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
  log.headChanged = true
  return log
end

local function spend(quantity, now, quota, log)
  if quantity < 0 then
    return giveBackOldest(log, -quantity)
  end
  drop(log)
  local any = log.entries > log.head
  local time = max(now, any and log.newest or 0)
  local sum = plus(any and log.sum or log.base, min(quantity, MAXIMUM_UNITS - used(log)))
  if any and (log.newest == time or log.entries - log.head >= MAXIMUM_ENTRIES) then
    log.newestChanged = true
  else
    if log.added or log.newestChanged then
      -- Of the times of one call only the end of its leases is later than the others.
      log.unwritten, log.unwrittenSum = log.newest, log.sum
    end
    log.entries = log.entries + 1
    log.added = true
  end
  log.newest = time
  log.sum = sum
  log.before = log.base
  return log
end

local function resetAfter(now, quota, log)
  if used(log) > 0 then
    return log.newest + quota.period - now
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
  if not (time + quota.period > now and time <= log.newest and time % 1 == 0) then
    time = log.newest
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
  return keptUntil(log.newest, quota.period)
end

-- Writes the changes of spend. `expiry` is a text in ms since the epoch; nil keeps the key's TTL.
local function write(key, expiry, log)
  if used(log) == 0 then
    call('DEL', key)
    return
  end
  local newest = structPack('<dd', log.newest, log.sum)
  local written = log.entries - 1
  if log.unwritten then
    newest = structPack('<dd', log.unwritten, log.unwrittenSum) .. newest
    written = written - 1
  end
  local compacts = log.head > SLACK and log.head * 2 > log.entries
  if log.fresh or compacts then
    local kept = ''
    if not log.fresh and written > log.head then
      kept = call('GETRANGE', key, (log.head + 1) * RECORD, (written + 1) * RECORD - 1)
    end
    local value = structPack('<dd', 0, log.base) .. kept .. newest
    if expiry then
      call('SET', key, value, 'PXAT', expiry)
    else
      call('SET', key, value, 'KEEPTTL')
    end
    return
  end
  if log.headChanged then
    call('SETRANGE', key, 0, structPack('<dd', log.head, log.base))
  end
  if log.unwritten then
    call('SETRANGE', key, (written + 1) * RECORD, newest)
  elseif log.added then
    call('APPEND', key, newest)
  elseif log.newestChanged then
    call('SETRANGE', key, log.entries * RECORD, newest)
  end
  if expiry then
    call('PEXPIREAT', key, expiry)
  end
end

return {
  size = 0,
  open = open,
  roll = roll,
  available = available,
  spend = spend,
  resetAfter = resetAfter,
  retryAfter = retryAfter,
  giveBack = giveBack,
  read = read,
  leasedAt = leasedAt,
  expiresAt = expiresAt,
  write = write,
}
