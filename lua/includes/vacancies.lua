-- Turns whose callers have left while others stood behind: starts that are charged already, which later callers take without another
-- charge. A part of batch.lua. Lua implementation of src/algorithms/vacancies.ts.
--
-- Each key has a sorted set of them by their starts. A member is packed doubles: start, time, for each layer its level after and before
-- as of that time, and the quantity; big-endian, so that of equal starts the one that was charged last is last. The set is changed at once, before the states are written: were the script to fail in between, a
-- start would pass unused, and none would be given twice. Where the set cannot be used, starts pass unused.

local VACANCIES_LOOKED_AT, VACANCIES_GIVEN_BACK = 16, 32
-- µs for which a start that has passed is kept, since it may still be the last.
local VACANCIES_KEPT = 1000000

-- `which`: 3: after, 4: before. Not rolled to now where the clock has gone back.
local function levelOf(turn, which, begin, cell)
  local layer, key = argument[cell], argument[cell + 2]
  return counted[layer].roll(new1Of[key], quotas[layer], turn[2], turn[which + (cell - begin) / 2])
end

-- False where so much was given back or cleared since that the turn is charged no more.
local function covers(turn, begin, last)
  for cell = begin, last, 4 do
    local key = argument[cell + 2]
    local time, level = levelOf(turn, 3, begin, cell)
    if not (time == new1Of[key] and new2Of[key] >= level) then
      return false
    end
  end
  return true
end

-- True while nobody has spent since; once all has drained, nothing tells any more who was last.
local function isUntouched(turn, begin, last)
  local any = false
  for cell = begin, last, 4 do
    local key = argument[cell + 2]
    local time, level = levelOf(turn, 3, begin, cell)
    if time ~= new1Of[key] or level ~= new2Of[key] then
      return false
    end
    any = any or level > 0
  end
  return any
end

local function giveBackTurn(turn, begin, last)
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    giveBackTo(counted[layer], quotas[layer], key, levelOf(turn, 4, begin, cell))
  end
end

local function formatOf(begin, last)
  return '>' .. string.rep('d', 3 + (last - begin + 4) / 2)
end

-- A member that is none of ours reads as none.
local function readTurn(member, begin, last)
  return #member == 24 + (last - begin + 4) * 4 and { structUnpack(formatOf(begin, last), member) } or nil
end

-- The earliest start for so many units that is not past, and comes before `wait` and within `longest` µs; nil where there is none.
local function takeVacancy(begin, last, set, quantity, wait, longest)
  local members = redis.pcall('ZRANGE', set, now, '+inf', 'BYSCORE', 'LIMIT', 0, VACANCIES_LOOKED_AT)
  for place = 1, #members do
    local member = members[place]
    local turn = readTurn(member, begin, last)
    if turn then
      local after = turn[1] - now
      if after >= wait or after > longest then
        return nil
      end
      local isCharged = covers(turn, begin, last)
      if not isCharged or turn[#turn - 1] == quantity then
        redis.pcall('ZREM', set, member)
        if isCharged then
          return turn
        end
      end
    end
  end
  return nil
end

-- Takes a turn in; then the last are given back, as long as nobody has spent since they were charged.
local function addVacancy(turn, begin, last, set)
  local added = redis.pcall('ZADD', set, turn[1], structPack(formatOf(begin, last), unpack(turn)))
  if type(added) == 'table' then
    if isUntouched(turn, begin, last) then
      giveBackTurn(turn, begin, last)
    end
    return
  end
  for _ = 1, VACANCIES_GIVEN_BACK do
    local member = call('ZRANGE', set, 0, 0, 'REV')[1]
    local latest = member and readTurn(member, begin, last)
    if not latest or not isUntouched(latest, begin, last) then
      break
    end
    call('ZREM', set, member)
    giveBackTurn(latest, begin, last)
  end
  call('ZREMRANGEBYSCORE', set, '-inf', '(' .. string.format('%.0f', now - VACANCIES_KEPT))
  local score = call('ZRANGE', set, 0, 0, 'REV', 'WITHSCORES')[2]
  if score then
    local lifetime = ceil((score - now + VACANCIES_KEPT) / 1000) + (passedIn and ALLOWANCE or 0)
    call('PEXPIRE', set, string.format('%.0f', max(lifetime, 1)))
  end
end
