-- The operations on permits: ask, end, look, peek. A part of batch.lua, only in calls with such layers. Lua implementation of
-- src/operations/permit-room.ts and of the operations beside it, line by line.
--
-- A key has a sorted set for each layer with permits. Members are three big-endian doubles: holder, serial, quantity. Score above 0: held
-- until then. Below 0: the place in the queue. Serial 0: a process that waits, gone at its score; quantity 1: it listens. The set is
-- changed before the header is written, and a message is published only after a change of the set, so that a full server refuses the
-- whole call.

local LAST, USED, WAITING, SOONEST, ENDED, INTERVAL = 1, 2, 3, 4, 5, 6
local SWEPT, HANDED_OVER, POLLING_PATIENCE = 256, 128, 1000000
local LOWEST, TURNS, HIGHEST_PRIORITY = -9007199254740992, 562949953421312, 5
local UNKNOWN, HELD, WAITS, NO_ROOM, QUEUE_FULL = 0, 1, 2, 3, 4

local function whole(number)
  return string.format('%.0f', number)
end

local function memberOf(holder, serial, quantity)
  return structPack('>ddd', holder, serial, quantity)
end

local function placeOf(priority, turn)
  return LOWEST + (HIGHEST_PRIORITY - priority) * TURNS + turn % TURNS
end

-- A command on the set. A value of another type, which another program wrote, is replaced.
local function z(room, command, ...)
  local reply = redis.pcall(command, room.set, ...)
  if type(reply) == 'table' and reply.err then
    if reply.err:find('WRONGTYPE', 1, true) then
      call('DEL', room.set)
    end
    return call(command, room.set, ...)
  end
  return reply
end

local function scoreOf(room, member)
  return tonumber(z(room, 'ZSCORE', member) or nil)
end

local function upcoming(room)
  return max(room.state[LAST] + 1, now)
end

local function nextToken(room)
  room.state[LAST] = upcoming(room)
  return room.state[LAST]
end

local function put(room, member, score)
  z(room, 'ZADD', whole(score), member)
  local state = room.state
  if state[SOONEST] == 0 or score < state[SOONEST] then
    state[SOONEST] = score
  end
end

local function drop(room, member, score)
  z(room, 'ZREM', member)
  local _, serial, quantity = structUnpack('>ddd', member)
  local state = room.state
  if serial == 0 then
    return
  elseif score < 0 then
    state[WAITING] = max(state[WAITING] - 1, 0)
  else
    state[USED] = max(state[USED] - quantity, 0)
  end
end

local function firstWaiting(room)
  local first = z(room, 'ZRANGE', '0', '0', 'WITHSCORES')
  local score = tonumber(first[2])
  if score and score < 0 then
    return first[1], score
  end
end

local function dropProcess(room, holder)
  z(room, 'ZREM', memberOf(holder, 0, 0), memberOf(holder, 0, 1))
  local waiting, name = z(room, 'ZRANGEBYSCORE', '-inf', '(0'), structPack('>d', holder)
  for place = 1, #waiting do
    if waiting[place]:sub(1, 8) == name then
      drop(room, waiting[place], -1)
    end
  end
end

local function refreshSoonest(room)
  room.state[SOONEST] = tonumber(z(room, 'ZRANGEBYSCORE', '(0', '+inf', 'WITHSCORES', 'LIMIT', '0', '1')[2] or 0)
end

local function recount(room)
  local state = room.state
  local all = z(room, 'ZRANGE', '0', '-1', 'WITHSCORES')
  for place = 1, #all, 2 do
    local _, serial, quantity = structUnpack('>ddd', all[place])
    if tonumber(all[place + 1]) < 0 then
      state[WAITING] = state[WAITING] + 1
    elseif serial > 0 then
      state[USED] = state[USED] + quantity
    end
  end
  refreshSoonest(room)
end

local function sweep(room)
  local state = room.state
  if state[SOONEST] == 0 or state[SOONEST] > now then
    return
  end
  local lapsed = z(room, 'ZRANGEBYSCORE', '(0', whole(now), 'LIMIT', '0', SWEPT)
  for place = 1, #lapsed do
    local holder, serial = structUnpack('>ddd', lapsed[place])
    drop(room, lapsed[place], 1)
    if serial == 0 then
      dropProcess(room, holder)
    end
  end
  refreshSoonest(room)
  if state[SOONEST] == 0 then
    state[USED] = 0
  end
  if not firstWaiting(room) then
    state[WAITING] = 0
  end
end

local function openRoom(layer, key, set, numbers)
  local room = { key = key, set = set, state = new1Of[key], count = quotas[layer].limit, lease = quotas[layer].period }
  room.holder, room.listens, room.sharded = argument[numbers + 1], argument[numbers + 2], argument[numbers + 3] == 1
  if not present[key] then
    recount(room)
  end
  sweep(room)
  return room
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
  local _, score = firstWaiting(room)
  return not score or placeOf(priority, turn < 0 and upcoming(room) or turn) < score
end

local function renew(room, member)
  put(room, member, now + room.lease)
  return nextToken(room)
end

local function admit(room, member, quantity)
  room.state[USED] = room.state[USED] + quantity
  return renew(room, member)
end

local function goneAt(room)
  return now + (room.listens == 1 and room.lease or min(room.lease, POLLING_PATIENCE))
end

local function stand(room, member, priority, turn)
  z(room, 'ZREM', memberOf(room.holder, 0, 1 - room.listens))
  put(room, memberOf(room.holder, 0, room.listens), goneAt(room))
  z(room, 'ZADD', whole(placeOf(priority, turn < 0 and nextToken(room) or turn)), member)
  room.state[WAITING] = room.state[WAITING] + 1
end

local function finish(room, member)
  local score = find(room, member)
  if not score then
    return UNKNOWN
  end
  drop(room, member, score)
  if score < 0 then
    return WAITS
  end
  local state = room.state
  if state[ENDED] == 0 then
    state[INTERVAL] = room.lease / 3
  else
    local gap = min(max(now - state[ENDED], 0), room.lease)
    state[INTERVAL] = state[INTERVAL] + (gap - state[INTERVAL]) / 8
  end
  state[ENDED] = now
  return HELD
end

local function answer(room, member, thinksItWaits)
  local score = find(room, member)
  if not score then
    return UNKNOWN, 0
  elseif score < 0 then
    return WAITS, (score - LOWEST) % TURNS
  end
  return HELD, thinksItWaits and nextToken(room) or 0
end

local function hear(room)
  if room.state[WAITING] == 0 then
    return
  end
  local process, other = memberOf(room.holder, 0, room.listens), memberOf(room.holder, 0, 1 - room.listens)
  local changes = scoreOf(room, other)
  if not changes and not scoreOf(room, process) then
    return
  end
  if changes then
    z(room, 'ZREM', other)
  end
  put(room, process, goneAt(room))
end

-- Returns how many were reached; -1: it is not known, because the server does not let the message be sent.
local function tell(room, holder, serial, token, heard)
  local channel = room.set:match(room.sharded and '^(.-:{[^}]*})' or '^(.-):{') .. ':wake:' .. whole(holder)
  local words = { whole(serial), whole(token), whole(heard), whole(now) }
  for number = 1, 6 do
    words[4 + number] = string.format('%.17g', room.state[number])
  end
  local reached = redis.pcall(room.sharded and 'SPUBLISH' or 'PUBLISH', channel, table.concat(words, ' '))
  return type(reached) == 'number' and reached or -1
end

-- True: go on with the next. False: the first is larger than what is free, and those behind wait for it.
local function grant(room, member, score)
  local state = room.state
  local holder, serial, quantity = structUnpack('>ddd', member)
  local listener = scoreOf(room, memberOf(holder, 0, 1))
  local gone = listener or scoreOf(room, memberOf(holder, 0, 0))
  if not gone or gone <= now or quantity > room.count then
    drop(room, member, score)
    return true
  end
  if state[USED] + quantity > room.count then
    return false
  end
  put(room, member, gone)
  state[WAITING] = state[WAITING] - 1
  state[USED] = state[USED] + quantity
  local token = nextToken(room)
  if listener and tell(room, holder, serial, token, gone - room.lease) == 0 then
    drop(room, member, gone)
    dropProcess(room, holder)
  end
  return true
end

-- 1: more could be handed over than one step may.
local function handOver(room)
  local state, handed = room.state, 0
  while state[USED] < room.count and state[WAITING] > 0 do
    if handed == HANDED_OVER then
      return 1
    end
    local member, score = firstWaiting(room)
    if not member then
      state[WAITING] = 0
      return 0
    end
    if not grant(room, member, score) then
      return 0
    end
    handed = handed + 1
  end
  return 0
end

local function closeRoom(room, layer)
  local state, key = room.state, room.key
  if state[USED] == 0 and state[WAITING] == 0 then
    state[SOONEST] = 0
    call('DEL', room.set)
  else
    call('PEXPIREAT', room.set, textOf(now + room.lease + 1000000 + shift))
  end
  local isKept = counted[layer].keptFor(now, quotas[layer], state) > 0
  if isKept or present[key] then
    changed[key] = SPENT
  end
  present[key] = isKept
  for number = 1, 6 do
    said[#said + 1] = isKept and state[number] or 0
  end
end

local function roomsOf(begin, last, numbers, sets)
  local rooms, nth = {}, 0
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    if counted[layer].size == 6 then
      nth = nth + 1
      rooms[cell] = openRoom(layer, key, sets[nth], numbers)
    end
  end
  return rooms
end

local function closeRooms(begin, last, rooms)
  for cell = begin, last, 4 do
    if rooms[cell] then
      closeRoom(rooms[cell], argument[cell])
    end
  end
end

-- The quantity of a cell is what the caller asks for in that layer. 0 asks for room for 1.
local function hasRoom(begin, last, rooms)
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    if not rooms[cell] then
      local available = counted[layer].available(now, quotas[layer], new1Of[key], new2Of[key], new3Of[key], new4Of[key])
      if max(argument[cell + 1], 1) > available then
        return false
      end
    end
  end
  return true
end

local function spendAll(begin, last, rooms)
  for cell = begin, last, 4 do
    local layer, units, key = argument[cell], argument[cell + 1], argument[cell + 2]
    if not rooms[cell] and units > 0 then
      new1Of[key], new2Of[key], new3Of[key], new4Of[key] =
        counted[layer].spend(units, now, quotas[layer], new1Of[key], new2Of[key], new3Of[key], new4Of[key])
      present[key] = true
      changed[key] = SPENT
    end
  end
end

-- Numbers: holder, listens, sharded, serial, queue, priority, turn.
local function askPermits(begin, last, numbers, _, sets)
  local holder, serial = argument[numbers + 1], argument[numbers + 4]
  local queue, priority, turn = argument[numbers + 5], argument[numbers + 6], argument[numbers + 7]
  local rooms = roomsOf(begin, last, numbers, sets)
  local asking, scores, held = {}, {}, true
  for cell = begin, last, 4 do
    local units = argument[cell + 1]
    if rooms[cell] and units > 0 then
      asking[#asking + 1] = rooms[cell]
      rooms[cell].units = units
      rooms[cell].member = memberOf(holder, serial, units)
      scores[#asking] = find(rooms[cell], rooms[cell].member) or false
      held = held and scores[#asking] and scores[#asking] > 0
    end
  end
  local status, value, spent, only = NO_ROOM, 0, 0, asking[1]
  if #asking > 0 and held then
    status = HELD
    for nth = #asking, 1, -1 do
      value = renew(asking[nth], asking[nth].member)
    end
  elseif #asking == 1 and scores[1] then
    status = WAITS
  else
    for nth = 1, #asking do
      if scores[nth] then
        finish(asking[nth], asking[nth].member)
      end
    end
    local fits = hasRoom(begin, last, rooms)
    local admitted = fits
    for nth = 1, #asking do
      admitted = admitted and admits(asking[nth], asking[nth].units, priority, turn)
    end
    if admitted then
      status, spent = HELD, 1
      spendAll(begin, last, rooms)
      for nth = #asking, 1, -1 do
        value = admit(asking[nth], asking[nth].member, asking[nth].units)
      end
    elseif fits and queue >= 0 and #asking == 1 and only.units <= only.count then
      status = only.state[WAITING] < queue and WAITS or QUEUE_FULL
      if status == WAITS then
        stand(only, only.member, priority, turn)
      end
    end
  end
  local more = 0
  for cell = begin, last, 4 do
    if rooms[cell] then
      hear(rooms[cell])
      more = max(more, handOver(rooms[cell]))
    end
  end
  if status == WAITS then
    status, value = answer(only, only.member, true)
  end
  said[#said + 1], said[#said + 2], said[#said + 3], said[#said + 4] = status, value, spent, more
  closeRooms(begin, last, rooms)
end

-- Numbers: holder, listens, sharded; then for each ticket: serial, quantity.
local function endPermits(begin, last, numbers, amount, sets)
  local room = roomsOf(begin, last, numbers, sets)[begin]
  local statuses = {}
  for at = numbers + 4, numbers + amount, 2 do
    statuses[#statuses + 1] = finish(room, memberOf(room.holder, argument[at], argument[at + 1]))
  end
  hear(room)
  said[#said + 1] = handOver(room)
  for nth = 1, #statuses do
    said[#said + 1] = statuses[nth]
  end
  closeRoom(room, argument[begin])
end

-- Numbers: holder, listens, sharded; then for each ticket: serial, quantity, 1 if its holder thinks that it waits.
local function lookAtPermits(begin, last, numbers, amount, sets)
  local room = roomsOf(begin, last, numbers, sets)[begin]
  for at = numbers + 4, numbers + amount, 3 do
    local member = memberOf(room.holder, argument[at], argument[at + 1])
    local score = find(room, member)
    if score and score > 0 then
      put(room, member, now + room.lease)
    end
  end
  hear(room)
  said[#said + 1] = handOver(room)
  for at = numbers + 4, numbers + amount, 3 do
    local status, value = answer(room, memberOf(room.holder, argument[at], argument[at + 1]), argument[at + 2] == 1)
    said[#said + 1], said[#said + 2] = status, value
  end
  refreshSoonest(room)
  closeRoom(room, argument[begin])
end

-- Changes nothing, not even what has lapsed.
local function peekAtPermits(begin, last, _, _, sets)
  local nth = 0
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    if counted[layer].size == 6 then
      nth = nth + 1
      local state, set = new1Of[key], sets[nth]
      local room = { set = set, state = state, count = quotas[layer].limit }
      if not present[key] then
        recount(room)
      end
      if state[SOONEST] > 0 and state[SOONEST] <= now then
        local lapsed = z(room, 'ZRANGEBYSCORE', '(0', whole(now), 'LIMIT', '0', SWEPT)
        local gone = {}
        for place = 1, #lapsed do
          local _, serial, quantity = structUnpack('>ddd', lapsed[place])
          if serial == 0 then
            gone[lapsed[place]:sub(1, 8)] = true
          else
            state[USED] = max(state[USED] - quantity, 0)
          end
        end
        local waiting = z(room, 'ZRANGEBYSCORE', '-inf', '(0')
        local left = 0
        for place = 1, #waiting do
          if not gone[waiting[place]:sub(1, 8)] then
            left = left + 1
          end
        end
        state[WAITING] = left
        local next = z(room, 'ZRANGEBYSCORE', '(0', '+inf', 'WITHSCORES', 'LIMIT', #lapsed, '1')[2]
        state[SOONEST] = tonumber(next or 0)
        if not next then
          state[USED] = 0
        end
      end
      for number = 1, 6 do
        said[#said + 1] = state[number]
      end
    end
  end
end

operations[11] = askPermits
operations[12] = endPermits
operations[13] = lookAtPermits
operations[14] = peekAtPermits
