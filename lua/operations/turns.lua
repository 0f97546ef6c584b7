-- TAKE_TURN promises a start; GIVE_UP_TURN gives the promise up. The additional data are vacancies: charged turns whose callers have left
-- while later turns were promised. Later callers can take them without another charge. A part of batch.lua.
-- Lua implementation of src/operations/take-turn.ts, give-up-turn.ts and vacancies.ts.
--
-- A turn is a list of numbers: the start, for each layer the state just after and just before the charge, and the quantity. Vacancies are
-- members of a sorted set by start, packed as big-endian doubles, so that of two equal starts the later charge is last. The set is changed
-- before the states are written. If the script fails in between, a start passes unused, but no start is given twice. If the set
-- cannot be used (a wrong type, for example), starts pass unused.

local VACANCIES_LOOKED_AT, VACANCIES_GIVEN_BACK = 16, 32
-- µs for which a vacancy is kept after its start, because the vacancy may still be the last charge and so be given back.
local VACANCIES_KEPT = 1000000

-- Units that a layer uses now, less the units that it would use if nothing had been spent or given back since the turn was charged. NaN: the
-- algorithm cannot tell. `at`: index in the turn of the layer's first number.
local function spentSince(turn, at, cell)
  local layer, key = argument[cell], argument[cell + 2]
  local algorithm = counted[layer]
  if not algorithm.spentSince then
    return 0 / 0
  end
  local after = { unpack(turn, at, at + algorithm.size - 1) }
  return algorithm.spentSince(quotas[layer], after, new1Of[key], new2Of[key], new3Of[key], new4Of[key])
end

-- False if a later refund or clear has also returned the units of this turn, so that the turn is no longer charged.
local function covers(turn, begin, last)
  local at = 2
  for cell = begin, last, 4 do
    if not (spentSince(turn, at, cell) >= 0) then
      return false
    end
    at = at + 2 * counted[argument[cell]].size
  end
  return true
end

-- True if nothing was spent after the charge. False also if all units have come back, because the last charge is then unknown.
local function isUntouched(turn, begin, last)
  local any, at = false, 2
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    local algorithm = counted[layer]
    if spentSince(turn, at, cell) ~= 0 then
      return false
    end
    any = any or algorithm.resetAfter(now, quotas[layer], new1Of[key], new2Of[key], new3Of[key], new4Of[key]) > 0
    at = at + 2 * algorithm.size
  end
  return any
end

local function giveBackTurn(turn, begin, last)
  local at = 2
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    local algorithm, quota = counted[layer], quotas[layer]
    local before = { unpack(turn, at + algorithm.size, at + 2 * algorithm.size - 1) }
    leave(algorithm, quota, key, algorithm.catchUp(quota, before, new1Of[key], new2Of[key], new3Of[key], new4Of[key]))
    at = at + 2 * algorithm.size
  end
end

local function lengthOf(begin, last)
  local length = 2
  for cell = begin, last, 4 do
    length = length + 2 * counted[argument[cell]].size
  end
  return length
end

-- nil: the member has another length, so this script did not write it.
local function readTurn(member, length)
  return #member == 8 * length and { structUnpack('>' .. string.rep('d', length), member) } or nil
end

-- Takes the earliest vacancy of this quantity that is not past, and that starts before `wait` µs and within `longest` µs. nil: none.
local function takeVacancy(begin, last, set, quantity, wait, longest)
  local length = lengthOf(begin, last)
  local members = redis.pcall('ZRANGE', set, now, '+inf', 'BYSCORE', 'LIMIT', 0, VACANCIES_LOOKED_AT)
  for place = 1, #members do
    local member = members[place]
    local turn = readTurn(member, length)
    if turn then
      local after = turn[1] - now
      if after >= wait or after > longest then
        return nil
      end
      local isCharged = covers(turn, begin, last)
      if not isCharged or turn[length] == quantity then
        redis.pcall('ZREM', set, member)
        if isCharged then
          return turn
        end
      end
    end
  end
  return nil
end

-- Adds a turn. Then gives back the latest vacancies, from the last one, for as long as nothing was spent after their charge.
local function addVacancy(turn, begin, last, set)
  local length = lengthOf(begin, last)
  local added = redis.pcall('ZADD', set, turn[1], structPack('>' .. string.rep('d', length), unpack(turn)))
  if type(added) == 'table' then
    if isUntouched(turn, begin, last) then
      giveBackTurn(turn, begin, last)
    end
    return
  end
  for _ = 1, VACANCIES_GIVEN_BACK do
    local member = call('ZRANGE', set, 0, 0, 'REV')[1]
    local latest = member and readTurn(member, length)
    if not latest or not isUntouched(latest, begin, last) then
      break
    end
    call('ZREM', set, member)
    giveBackTurn(latest, begin, last)
  end
  call('ZREMRANGEBYSCORE', set, '-inf', '(' .. string.format('%.0f', now - VACANCIES_KEPT))
  local score = call('ZRANGE', set, 0, 0, 'REV', 'WITHSCORES')[2]
  if score then
    call('PEXPIREAT', set, textOf(score + VACANCIES_KEPT + shift))
  end
end

-- µs until all layers have room. nil: the quantity exceeds a limit. The quantity of a cell is what a turn costs in that layer.
local function waitFor(begin, last)
  local wait = 0
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    local algorithm, quota = counted[layer], quotas[layer]
    local quantity = argument[cell + 1]
    if quantity > quota.limit then
      return nil
    end
    wait = max(wait, algorithm.retryAfter(quantity, now, quota, new1Of[key], new2Of[key], new3Of[key], new4Of[key]))
  end
  return wait
end

-- Numbers: the quantity; the longest wait in µs; 1 if a vacancy may be taken. Replies with the vacancy taken; -1 throughout for none.
local function takeTurn(begin, last, numbers, _, beside)
  local set = beside[1]
  local quantity, longest, mayTake = argument[numbers + 1], argument[numbers + 2], argument[numbers + 3] == 1
  local wait = waitFor(begin, last)
  local held = blocks and max(0, new1Of[argument[blocks[1] + 2]] - now) or 0
  if wait then
    wait = max(wait, held)
  end
  -- A start before the end of a block is no start, so all vacancies pass meanwhile.
  local vacancy = mayTake and held == 0 and wait and quantity > 0 and takeVacancy(begin, last, set, quantity, wait, longest)
  for number = 1, lengthOf(begin, last) do
    said[#said + 1] = vacancy and vacancy[number] or -1
  end
  if vacancy or quantity == 0 or not wait or wait > longest then
    return
  end
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    local algorithm, quota = counted[layer], quotas[layer]
    new1Of[key], new2Of[key], new3Of[key], new4Of[key] =
      algorithm.spendLater(argument[cell + 1], wait, now, quota, new1Of[key], new2Of[key], new3Of[key], new4Of[key])
    present[key] = true
    changed[key] = SPENT
  end
end

-- Numbers: the turn. Replies with the final states.
local function giveUpTurn(begin, last, numbers, amount, beside)
  addVacancy({ unpack(argument, numbers + 1, numbers + amount) }, begin, last, beside[1])
  for cell = begin, last, 4 do
    local key = argument[cell + 2]
    local state = { new1Of[key], new2Of[key], new3Of[key], new4Of[key] }
    for number = 1, counted[argument[cell]].size do
      said[#said + 1] = state[number]
    end
  end
end

operations[3] = takeTurn
operations[4] = giveUpTurn
