-- The operations on permits: ask, end, look, peek. A part of batch.lua, only in calls with such layers. Lua implementation of the operations
-- on permits in src/operations.
--
-- The sets of tickets are changed before the headers are written, and a message is published only after a change of a set, so that a full
-- server refuses the whole call.

--#include permit_tickets.lua
--#include permit_room.lua

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

-- Returns 1 if more could be handed over than one step may.
local function leaveRooms(begin, last, rooms)
  local more = 0
  for cell = begin, last, 4 do
    if rooms[cell] then
      hear(rooms[cell])
      more = max(more, handOver(rooms[cell]))
    end
  end
  return more
end

-- Units that must be available in the layer of a cell. 0 asks for room for 1.
local function neededIn(cell)
  return max(argument[cell + 1], 1)
end

local function hasRoom(begin, last, rooms)
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    if not rooms[cell] then
      local available = counted[layer].available(now, quotas[layer], new1Of[key], new2Of[key], new3Of[key], new4Of[key])
      if neededIn(cell) > available then
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

-- Changes nothing, not even what has lapsed.
local function peekAtPermits(begin, last, _, _, sets)
  local nth = 0
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    if counted[layer].size == 6 then
      nth = nth + 1
      -- A copy, because later requests of the call find the state as it is.
      local state, set = { unpack(new1Of[key]) }, sets[nth]
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

-- Numbers: holder, listens, sharded, serial, queue, priority, turn, 1 if a refusal by a rate strikes.
local function askPermits(begin, last, numbers, _, sets)
  if blocks and new1Of[argument[blocks[1] + 2]] > now then
    said[#said + 1], said[#said + 2], said[#said + 3], said[#said + 4] = BLOCKED, 0, 0, 0
    peekAtPermits(begin, last, numbers, 0, sets)
    return
  end
  local holder, serial = argument[numbers + 1], argument[numbers + 4]
  local queue, priority, turn = argument[numbers + 5], argument[numbers + 6], argument[numbers + 7]
  local rooms = roomsOf(begin, last, numbers, sets)
  -- What has lapsed goes to those who wait first, of whom some may be dead: then the caller's turn has come.
  local more = leaveRooms(begin, last, rooms)
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
  more = max(more, leaveRooms(begin, last, rooms))
  if status == WAITS then
    status, value = answer(only, only.member, true)
  elseif blocks and status == NO_ROOM and argument[numbers + 8] == 1 then
    strikeIfRefused(blocks[1], begin, 0, neededIn)
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

operations[11] = askPermits
operations[12] = endPermits
operations[13] = lookAtPermits
operations[14] = peekAtPermits
