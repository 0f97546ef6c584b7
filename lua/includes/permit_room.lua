-- Admits tickets, lets them wait, ends them and hands permits over. A part of lua/operations/permits.lua. Lua implementation of
-- src/operations/permit-room.ts.

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

-- Returns how many subscribers got the message. -1: unknown, because the user has no right to publish.
local function tell(room, holder, serial, token, heard)
  local channel = room.set:match(room.sharded and '^(.-:{[^}]*})' or '^(.-):{') .. ':wake:' .. whole(holder)
  local words = { whole(serial), whole(token), whole(heard), whole(now) }
  for number = 1, 6 do
    words[4 + number] = string.format('%.17g', room.state[number])
  end
  local reached = redis.pcall(room.sharded and 'SPUBLISH' or 'PUBLISH', channel, table.concat(words, ' '))
  return type(reached) == 'number' and reached or -1
end

-- True: continue with the next ticket. False: the first ticket needs more units than are free, and those behind it wait.
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
