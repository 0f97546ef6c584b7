-- The operations on permits: ask, end, look, peek. A part of batch.lua, only in calls with such layers. Lua implementation of the operations
-- on permits in src/operations.
--
-- The sets of tickets are changed before the headers are written, and a message is published only after a change of a set, so that a full
-- server refuses the whole call.

--#include permit_tickets.lua
--#include permit_room.lua
--#include permit_hand_over.lua

local function roomsOf(begin, last, numbers, sets)
  local rooms, nth = {}, 0
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    if counted[layer].size == 6 then
      nth = nth + 1
      local room = roomOf(sets[nth], new1Of[key], quotas[layer].limit, quotas[layer].period)
      enter(room, present[key], numbers)
      rooms[cell] = room
    end
  end
  return rooms
end

local function closeRoom(room, layer, key)
  local isKept = counted[layer].keptFor(now, quotas[layer], room.state) > 0
  exit(room, isKept)
  keepTickets(room)
  if isKept or present[key] then
    changed[key] = SPENT
  end
  present[key] = isKept
end

local function closeRooms(begin, last, rooms)
  for cell = begin, last, 4 do
    if rooms[cell] then
      closeRoom(rooms[cell], argument[cell], argument[cell + 2])
    end
  end
end

-- Returns 1 if more could be handed over than one step may.
local function leaveRooms(begin, last, rooms)
  local more = 0
  for cell = begin, last, 4 do
    if rooms[cell] then
      more = max(more, leaveRoom(rooms[cell]))
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

local function peekAtPermits(begin, last, _, _, sets)
  local nth = 0
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    if counted[layer].size == 6 then
      nth = nth + 1
      peekIn(sets[nth], new1Of[key], quotas[layer].limit, present[key])
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

-- Numbers: holder, listens, sharded; then the tickets.
local function endPermits(begin, last, numbers, amount, sets)
  local rooms = roomsOf(begin, last, numbers, sets)
  endIn(rooms[begin], numbers + 4, numbers + amount)
  closeRooms(begin, last, rooms)
end

local function lookAtPermits(begin, last, numbers, amount, sets)
  local rooms = roomsOf(begin, last, numbers, sets)
  lookIn(rooms[begin], numbers + 4, numbers + amount)
  closeRooms(begin, last, rooms)
end

operations[11] = askPermits
operations[12] = endPermits
operations[13] = lookAtPermits
operations[14] = peekAtPermits
