-- Does operations on permits alone, of throttles whose only layer holds permits. batch.lua does the same, and everything else, but costs more.
-- What is known of the tickets of a key is kept from one operation to the next.
--
-- KEYS     the values of the keys, as includes/records.lua describes them; then the sets of tickets, in the same order
-- ARGV[1]  the call's echo: a text of 8 bytes
-- ARGV[2]  JSON, a flat array of numbers:
--            clock      µs since the epoch; -1: use the server's clock
--            keys       how many keys follow, each: the id of the header, count, lease in µs
--            up to the end the operations, each: code, key, units, amount, and `amount` numbers: holder, listens, sharded, and
--                       ASK   serial, queue, priority, turn, and one that counts for blocked keys alone
--                       END   of each ticket: serial, quantity
--                       LOOK  of each ticket: serial, quantity, 1 if its holder thinks that it waits
--                       PEEK  nothing, nor holder, listens, sharded
-- Reply    the echo, then little-endian doubles: now; the record of each header as it was read (NaN: a fresh key); then for each operation
--          what batch.lua replies

--#include common.lua
--#include text_of.lua
local argument = cjson.decode(ARGV[2])
local clock = argument[1]
--#include read_clock.lua
-- Numbers of the reply after the headers.
local said = {}
--#include permit_header.lua
--#include permit_tickets.lua
--#include permit_room.lua
--#include permit_hand_over.lua

local ASK, END, LOOK = 11, 12, 13
local FORMAT, WIDTH = '<I6I6dddddd', 60

-- For values that hold other records too: finds a record, and writes it.
local recordIn, writeAmong

local keys = argument[2]
-- The values where across_slots.lua has read them.
local values = KEYS.values or call('MGET', unpack(KEYS, 1, keys))
local rooms, replied = {}, {}
local at = 3
for key = 1, keys do
  local id, value = argument[at], values[key]
  local record, found, expiry
  if value then
    record = value
    if #value == WIDTH then
      found, expiry = structUnpack('<I6I6', value)
    end
    if found ~= id then
      if not recordIn then
        --#include permit_records.lua
      end
      record = recordIn(value, id)
      if record then
        found, expiry = structUnpack('<I6I6', record)
      end
    end
  end
  local state = record and { select(3, structUnpack(FORMAT, record)) }
  if record then
    expiry = expiry * 1000
  end
  local isPresent = record and expiry > serverNow and isHeader(state)
  -- struct.unpack also returns where it has stopped.
  local room = roomOf(KEYS[keys + key], isPresent and { unpack(state, 1, 6) } or { 0, 0, 0, 0, 0, 0 }, argument[at + 1], argument[at + 2])
  room.isPresent, room.id, room.expiry = isPresent, id, isPresent and expiry
  room.isSole = not value or record == value
  replied[key] = isPresent and record or string.rep('\255', WIDTH)
  rooms[key] = room
  at = at + 3
end

-- As askPermits in lua/operations/permits.lua, for a single layer.
local function askIn(room, units, numbers)
  local serial, queue, priority, turn = argument[numbers + 4], argument[numbers + 5], argument[numbers + 6], argument[numbers + 7]
  local state, member = room.state, memberOf(room.holder, serial, units)
  local more = leaveRoom(room)
  local status, value, spent, place = NO_ROOM, 0, 0, nil
  local score = units > 0 and find(room, member)
  if units == 0 then
    status, spent = HELD, 1
  elseif score then
    status = score > 0 and HELD or WAITS
    value = score > 0 and renew(room, member) or 0
  elseif admits(room, units, priority, turn) then
    status, spent, value = HELD, 1, admit(room, member, units)
  elseif queue >= 0 and units <= room.count then
    status = state[WAITING] < queue and WAITS or QUEUE_FULL
    if status == WAITS then
      place = stand(room, member, priority, turn)
    end
  end
  -- Then nothing is handed over.
  local isFull = state[USED] >= room.count
  more = max(more, leaveRoom(room))
  if status == WAITS and place and isFull then
    value = turnIn(place)
  elseif status == WAITS then
    status, value = answer(room, member, true)
  end
  said[#said + 1], said[#said + 2], said[#said + 3], said[#said + 4] = status, value, spent, more
end

local last = #argument
while at <= last do
  local code, room, amount, numbers = argument[at], rooms[argument[at + 1]], argument[at + 3], at + 3
  if code > LOOK then
    peekIn(room.set, room.state, room.count, room.isPresent)
  else
    enter(room, room.isPresent, numbers)
    if code == ASK then
      askIn(room, argument[at + 2], numbers)
    elseif code == END then
      endIn(room, numbers + 4, numbers + amount)
    else
      lookIn(room, numbers + 4, numbers + amount)
    end
    local isKept = headerKeptFor(now, room.lease, room.state) > 0
    exit(room, isKept)
    room.isChanged = room.isChanged or isKept or room.isPresent
    room.isPresent = isKept
  end
  at = numbers + amount + 1
end

for key = 1, keys do
  local room = rooms[key]
  if room.isChanged then
    keepTickets(room)
    local text, expiry = '', 0
    if room.isPresent then
      expiry = now + headerKeptFor(now, room.lease, room.state) + shift
      expiry = min(expiry + -expiry % 1000, LATEST_EXPIRY)
      text = structPack(FORMAT, room.id, expiry / 1000, unpack(room.state))
    end
    if not room.isSole then
      writeAmong(KEYS[key], values[key], room.id, text, expiry)
    elseif text == '' then
      call('DEL', KEYS[key])
    elseif expiry == room.expiry then
      call('SETRANGE', KEYS[key], '0', text)
    else
      call('SET', KEYS[key], text, 'PXAT', textOf(expiry))
    end
  end
end

local reply = ARGV[1] .. structPack('<d', now) .. table.concat(replied)
return reply .. structPack('<' .. string.rep('d', #said), unpack(said))
