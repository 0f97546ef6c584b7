-- The tickets of a layer with permits, as a sorted set beside the header. A part of lua/operations/permits.lua. Lua implementation of
-- src/operations/tickets.ts, and of the sweep in src/operations/permit-room.ts.
--
-- Members are three big-endian doubles: holder, serial, quantity. Score above 0: held until then. Below 0: the place in the queue. Serial 0: a
-- process that waits, gone at its score; quantity 1: it listens.

local LAST, USED, WAITING, SOONEST, ENDED, INTERVAL = 1, 2, 3, 4, 5, 6
local SWEPT, HANDED_OVER, POLLING_PATIENCE = 256, 128, 1000000
local LOWEST, TURNS, HIGHEST_PRIORITY = -9007199254740992, 562949953421312, 5
local UNKNOWN, HELD, WAITS, NO_ROOM, QUEUE_FULL, BLOCKED = 0, 1, 2, 3, 4, 5

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
