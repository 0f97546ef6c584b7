-- Admits tickets, lets them wait, and ends them. A part of lua/operations/permits.lua and lua/scripts/tickets.lua; comes after permit_tickets.lua.
-- Lua implementation of src/operations/permit-room.ts.
--
-- A room: `set`, its key; `state`, the header; `count` and `lease` of its quota; `holder`, `listens` and `sharded` of who acts. Also
-- `processes`, see processOf; `granted`, the token of each ticket that the operation at hand has handed a permit; and `changes`, scores and members
-- that are still to be written.

local function roomOf(set, state, count, lease)
  return { set = set, state = state, count = count, lease = lease, processes = {}, granted = {}, changes = {} }
end

-- Begins an operation, whose numbers begin with holder, listens and sharded.
local function enter(room, isPresent, numbers)
  room.holder, room.listens, room.sharded = argument[numbers + 1], argument[numbers + 2], argument[numbers + 3] == 1
  room.granted = {}
  if not isPresent then
    recount(room)
  end
  sweep(room)
end

-- Ends an operation, and says the header. Where nobody holds or waits, nothing is left of the tickets. A header that need not be kept becomes
-- that of a fresh key.
local function exit(room, isKept)
  local state = room.state
  if state[USED] == 0 and state[WAITING] == 0 then
    state[SOONEST] = 0
    call('DEL', room.set)
    room.processes = {}
  end
  for number = 1, 6 do
    state[number] = isKept and state[number] or 0
    said[#said + 1] = state[number]
  end
end

local function keepTickets(room)
  local state = room.state
  if state[USED] > 0 or state[WAITING] > 0 then
    call('PEXPIREAT', room.set, textOf(now + room.lease + 1000000 + shift))
  end
end

local function find(room, member)
  local score = scoreOf(room, member)
  if score and score > 0 and score <= now then
    drop(room, member, score)
    return nil
  end
  return score
end

local function admits(room, quantity, priority, turn)
  local state = room.state
  if state[USED] + quantity > room.count then
    return false
  end
  if state[WAITING] == 0 then
    return true
  end
  local first = firstWaiting(room, 1)[1]
  return not first or placeOf(priority, turn < 0 and upcoming(room) or turn) < scoreOf(room, first)
end

local function renew(room, member)
  put(room, member, now + room.lease)
  return nextToken(room)
end

local function admit(room, member, quantity)
  room.state[USED] = room.state[USED] + quantity
  return renew(room, member)
end

local function writeChanges(room)
  if room.changes[1] then
    z(room, 'ZADD', unpack(room.changes))
    room.changes = {}
  end
end

local function change(room, member, score)
  local changes = room.changes
  changes[#changes + 1], changes[#changes + 2] = score, member
end

-- Notes that the process of who acts waits.
local function awaitProcess(room)
  local process, listens = processOf(room, room.holder), room.listens
  if process[1 - listens] then
    z(room, 'ZREM', memberOf(room.holder, 0, 1 - listens))
    process[1 - listens] = false
  end
  local gone = now + (listens == 1 and room.lease or min(room.lease, POLLING_PATIENCE))
  lapsesAt(room, gone)
  if process[listens] ~= gone then
    process[listens] = gone
    change(room, memberOf(room.holder, 0, listens), gone)
  end
end

-- Returns the score.
local function stand(room, member, priority, turn)
  awaitProcess(room)
  local place = placeOf(priority, turn < 0 and nextToken(room) or turn)
  change(room, member, place)
  writeChanges(room)
  room.state[WAITING] = room.state[WAITING] + 1
  return place
end

-- Ends tickets. Returns for each what it was.
local function finishAll(room, members)
  local state, statuses, leaving = room.state, {}, {}
  local scores = members[1] and z(room, 'ZMSCORE', unpack(members)) or {}
  local left = {}
  for place = 1, #members do
    local member = members[place]
    local score = not left[member] and scores[place] and tonumber(scores[place])
    statuses[place] = UNKNOWN
    if score then
      local _, _, quantity = structUnpack('>ddd', member)
      uncount(room, quantity, score)
      leaving[#leaving + 1], left[member] = member, true
      if score < 0 then
        statuses[place] = WAITS
      elseif score > now then
        statuses[place] = HELD
        if state[ENDED] == 0 then
          state[INTERVAL] = room.lease / 3
        else
          local gap = min(max(now - state[ENDED], 0), room.lease)
          state[INTERVAL] = state[INTERVAL] + (gap - state[INTERVAL]) / 8
        end
        state[ENDED] = now
      end
    end
  end
  if leaving[1] then
    z(room, 'ZREM', unpack(leaving))
  end
  return statuses
end

local function finish(room, member)
  return finishAll(room, { member })[1]
end

local function answer(room, member, thinksItWaits)
  local score = find(room, member)
  if not score then
    return UNKNOWN, 0
  elseif score < 0 then
    return WAITS, turnIn(score)
  end
  return HELD, thinksItWaits and (room.granted[member] or nextToken(room)) or 0
end
