-- Hands permits over, and does what is asked of one room. A part of lua/operations/permits.lua and lua/scripts/tickets.lua; comes after
-- permit_room.lua. Lua implementation of src/operations/permit-room.ts, end-permits.ts, look-at-permits.ts and peek-at-permits.ts.

local function hear(room)
  if room.state[WAITING] == 0 then
    return
  end
  local process = processOf(room, room.holder)
  if process[0] or process[1] then
    awaitProcess(room)
  end
end

-- Tells a holder of tickets that were granted, in one message: now, when it was heard of, the header, then each serial and token. Returns how
-- many subscribers got the message. -1: unknown, because the user has no right to publish.
local function tell(room, holder, heard, members)
  room.channel = room.channel or room.set:match(room.sharded and '^(.-:{[^}]*})' or '^(.-):{') .. ':wake:'
  local words = { whole(now), whole(heard) }
  for number = 1, 6 do
    words[2 + number] = string.format('%.17g', room.state[number])
  end
  for place = 1, #members do
    local _, serial = structUnpack('>dd', members[place])
    words[8 + place] = string.format('%.0f %.0f', serial, room.granted[members[place]])
  end
  local command = room.sharded and 'SPUBLISH' or 'PUBLISH'
  local reached = redis.pcall(command, room.channel .. whole(holder), table.concat(words, ' '))
  return type(reached) == 'number' and reached or -1
end

-- Hands permits to these tickets, as far as they fit, in their order; then tells each listening holder of all of its own. Returns how many were
-- dealt with, and true if some holder was not reached, so that its permits are free again.
local function grant(room, members)
  local state, grants, listeners, dealt = room.state, {}, {}, 0
  for place = 1, #members do
    local member = members[place]
    local holder, _, quantity = structUnpack('>ddd', member)
    local process = processOf(room, holder)
    local gone = process[1] or process[0]
    if not gone or gone <= now or quantity > room.count then
      drop(room, member, -1)
    elseif state[USED] + quantity > room.count then
      break
    else
      change(room, member, gone)
      lapsesAt(room, gone)
      state[WAITING] = state[WAITING] - 1
      state[USED] = state[USED] + quantity
      room.granted[member] = nextToken(room)
      if process[1] then
        if not grants[holder] then
          grants[holder], listeners[#listeners + 1] = {}, holder
        end
        table.insert(grants[holder], member)
      end
    end
    dealt = dealt + 1
  end
  writeChanges(room)
  local isFreed = false
  for place = 1, #listeners do
    local holder = listeners[place]
    local gone = processOf(room, holder)[1]
    if tell(room, holder, gone - room.lease, grants[holder]) == 0 then
      for nth = 1, #grants[holder] do
        drop(room, grants[holder][nth], gone)
      end
      dropProcess(room, holder)
      isFreed = true
    end
  end
  return dealt, isFreed
end

-- 1: more could be handed over than one step may.
local function handOver(room)
  local state, handed = room.state, 0
  while state[USED] < room.count and state[WAITING] > 0 do
    if handed == HANDED_OVER then
      return 1
    end
    local first = firstWaiting(room, min(room.count - state[USED], HANDED_OVER - handed))
    if not first[1] then
      state[WAITING] = 0
      return 0
    end
    local dealt, isFreed = grant(room, first)
    if dealt < #first and not isFreed then
      return 0
    end
    handed = handed + dealt
  end
  return 0
end

-- Returns as handOver does.
local function leaveRoom(room)
  hear(room)
  local more = handOver(room)
  writeChanges(room)
  return more
end

-- The operations on one room. END: from `from` to `to` stand the serial and quantity of each ticket.
local function endIn(room, from, to)
  local members = {}
  for at = from, to, 2 do
    members[#members + 1] = memberOf(room.holder, argument[at], argument[at + 1])
  end
  local statuses = finishAll(room, members)
  said[#said + 1] = leaveRoom(room)
  for place = 1, #statuses do
    said[#said + 1] = statuses[place]
  end
end

-- LOOK: for each ticket serial, quantity, and 1 if its holder thinks that it waits.
local function lookIn(room, from, to)
  for at = from, to, 3 do
    local member = memberOf(room.holder, argument[at], argument[at + 1])
    local score = find(room, member)
    if score and score > 0 then
      put(room, member, now + room.lease)
    end
  end
  said[#said + 1] = leaveRoom(room)
  for at = from, to, 3 do
    local status, value = answer(room, memberOf(room.holder, argument[at], argument[at + 1]), argument[at + 2] == 1)
    said[#said + 1], said[#said + 2] = status, value
  end
  refreshSoonest(room)
end

-- PEEK: changes nothing, not even what has lapsed.
local function peekIn(set, header, count, isPresent)
  -- A copy, because later requests of the call find the state as it is.
  local state = { unpack(header) }
  local room = { set = set, state = state, count = count }
  if not isPresent then
    recount(room)
  end
  if state[SOONEST] > 0 and state[SOONEST] <= now then
    local lapsed = z(room, 'ZRANGEBYSCORE', '(0', now, 'LIMIT', 0, SWEPT)
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
    local next = z(room, 'ZRANGEBYSCORE', '(0', '+inf', 'WITHSCORES', 'LIMIT', #lapsed, 1)[2]
    state[SOONEST] = tonumber(next or 0)
    if not next then
      state[USED] = 0
    end
  end
  for number = 1, 6 do
    said[#said + 1] = state[number]
  end
end
