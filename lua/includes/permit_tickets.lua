-- The tickets of a layer with permits, as a sorted set beside the header. A part of lua/operations/permits.lua and lua/scripts/tickets.lua. Lua
-- implementation of src/operations/tickets.ts, and of the sweep in src/operations/permit-room.ts.
--
-- Members are three big-endian doubles: holder, serial, quantity. Score above 0: held until then. Below 0: the place in the queue. Serial 0: a
-- process that waits, gone at its score; quantity 1: it listens. Scores are passed as numbers, which Redis writes with all their digits.

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

local function turnIn(score)
  return (score - LOWEST) % TURNS
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

-- When a holder's process is gone as a waiter, if it asks ([0]) and if it listens ([1]); false: it does not wait so. Remembered, because a call
-- mostly needs it more than once.
local function processOf(room, holder)
  local process = room.processes[holder]
  if not process then
    local scores = z(room, 'ZMSCORE', memberOf(holder, 0, 0), memberOf(holder, 0, 1))
    process = { [0] = scores[1] and tonumber(scores[1]), [1] = scores[2] and tonumber(scores[2]) }
    room.processes[holder] = process
  end
  return process
end

local function upcoming(room)
  return max(room.state[LAST] + 1, now)
end

local function nextToken(room)
  room.state[LAST] = upcoming(room)
  return room.state[LAST]
end

-- Notes that something is kept until then.
local function lapsesAt(room, score)
  local state = room.state
  if state[SOONEST] == 0 or score < state[SOONEST] then
    state[SOONEST] = score
  end
end

local function put(room, member, score)
  z(room, 'ZADD', score, member)
  lapsesAt(room, score)
end

-- Counts a ticket no more that leaves.
local function uncount(room, quantity, score)
  local state = room.state
  if score < 0 then
    state[WAITING] = max(state[WAITING] - 1, 0)
  else
    state[USED] = max(state[USED] - quantity, 0)
  end
end

local function drop(room, member, score)
  z(room, 'ZREM', member)
  local _, serial, quantity = structUnpack('>ddd', member)
  if serial > 0 then
    uncount(room, quantity, score)
  end
end

-- The tickets that are first in the queue.
local function firstWaiting(room, most)
  return z(room, 'ZRANGEBYSCORE', '-inf', '(0', 'LIMIT', 0, most)
end

local function dropProcess(room, holder)
  z(room, 'ZREM', memberOf(holder, 0, 0), memberOf(holder, 0, 1))
  room.processes[holder] = { [0] = false, [1] = false }
  local waiting, name = z(room, 'ZRANGEBYSCORE', '-inf', '(0'), structPack('>d', holder)
  for place = 1, #waiting do
    if waiting[place]:sub(1, 8) == name then
      drop(room, waiting[place], -1)
    end
  end
end

local function refreshSoonest(room)
  room.state[SOONEST] = tonumber(z(room, 'ZRANGEBYSCORE', '(0', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] or 0)
end

local function recount(room)
  local state = room.state
  local all = z(room, 'ZRANGE', 0, -1, 'WITHSCORES')
  if not all[1] then
    return
  end
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
  local lapsed = z(room, 'ZRANGEBYSCORE', '(0', now, 'LIMIT', 0, SWEPT)
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
  if not firstWaiting(room, 1)[1] then
    state[WAITING] = 0
  end
end
