-- In Redis a log is one string of records of three doubles, one for each entry: (time, sum of all units so far, how many entries are not dropped
-- up to this one). Before the oldest entry that is not dropped stands a record whose sum is that before the entry, mostly that of an entry that
-- has been dropped. So the last record tells where all others are: any entry is read in O(1), every lookup is a binary search, and an entry
-- is added by one APPEND. A part of log.lua and logs.lua.

local MAXIMUM_ENTRIES = 1048576
-- Sums wrap here.
local MODULUS = 9007199254740992
local RECORD = 24

local function isRecord(time, sum, count)
  return isWhole(time, MAXIMUM_UNITS) and isWhole(sum, MAXIMUM_UNITS) and isWhole(count, MAXIMUM_ENTRIES)
end

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

-- Removes the records of dropped entries from the front of a value of `length` bytes, if they are most of it. `count`: how many entries are not
-- dropped.
local function compact(key, length, count)
  local records = length / RECORD
  local dropped = records - count - 1
  if dropped > 32 and dropped * 2 > records then
    call('SET', key, call('GETRANGE', key, -(count + 1) * RECORD, -1), 'KEEPTTL')
  end
end
