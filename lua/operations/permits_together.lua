-- Asks for several subjects in one step, all or nothing: rates, and permits without waiting. A part of batch.lua, only in calls that need it; comes
-- after permits.lua. Everything is looked at before anything is spent or held. Lua implementation of src/operations/ask-together.ts.
--
-- The quantity of a cell is what its subject spends or holds there, or what a subject asks about that only looks. Numbers: holder, 0, sharded,
-- serial; then for each cell: the units that must be available (0: none, the subject only looks), and 1 if messages tell the process which of
-- its tickets on the key were granted.
operations[15] = function(begin, last, numbers, _, sets)
  local function neededOf(cell)
    return argument[numbers + 5 + (cell - begin) / 2]
  end
  for nth = 1, blocks and #blocks or 0 do
    local block = blocks[nth]
    if argument[block + 6] == 1 and new1Of[argument[block + 2]] > now then
      said[#said + 1], said[#said + 2], said[#said + 3] = BLOCKED, 0, 0
      for _ = 1, #sets do
        said[#said + 1] = 0
      end
      operations[14](begin, last, numbers, 0, sets)
      return
    end
  end
  local rooms = roomsOf(begin, last, numbers, sets)
  for cell = begin, last, 4 do
    if rooms[cell] then
      rooms[cell].listens = argument[numbers + 6 + (cell - begin) / 2]
    end
  end
  -- What has lapsed goes to those who wait first, of whom some may be dead: then the caller's turn has come.
  local more = leaveRooms(begin, last, rooms)
  local holder, serial = argument[numbers + 1], argument[numbers + 4]
  local asking, scores, held = {}, {}, true
  for cell = begin, last, 4 do
    local room, units = rooms[cell], argument[cell + 1]
    if room and units > 0 and neededOf(cell) > 0 then
      asking[#asking + 1] = room
      room.units, room.member = units, memberOf(holder, serial, units)
      scores[#asking] = find(room, room.member) or false
      held = held and scores[#asking] and scores[#asking] > 0
    end
  end
  local status, spent = NO_ROOM, 0
  if #asking > 0 and held then
    status = HELD
    for nth = 1, #asking do
      asking[nth].token = renew(asking[nth], asking[nth].member)
    end
  else
    -- After a clear of one key only the others know the ticket: all are asked anew.
    for nth = 1, #asking do
      if scores[nth] then
        finish(asking[nth], asking[nth].member)
      end
    end
    local fits = true
    for cell = begin, last, 4 do
      local layer, key, needed = argument[cell], argument[cell + 2], neededOf(cell)
      if fits and needed > 0 and not rooms[cell] then
        fits = needed
          <= counted[layer].available(now, quotas[layer], new1Of[key], new2Of[key], new3Of[key], new4Of[key])
      end
    end
    for nth = 1, #asking do
      fits = fits and admits(asking[nth], asking[nth].units, 0, -1)
    end
    if fits then
      status, spent = HELD, 1
      for cell = begin, last, 4 do
        if neededOf(cell) > 0 then
          spendAll(cell, cell, rooms)
        end
      end
      for nth = 1, #asking do
        asking[nth].token = admit(asking[nth], asking[nth].member, asking[nth].units)
      end
    end
  end
  more = max(more, leaveRooms(begin, last, rooms))
  if status == NO_ROOM then
    for nth = 1, blocks and #blocks or 0 do
      strikeIfRefused(blocks[nth], begin, 0, neededOf)
    end
  end
  said[#said + 1], said[#said + 2], said[#said + 3] = status, spent, more
  for cell = begin, last, 4 do
    if rooms[cell] then
      said[#said + 1] = rooms[cell].token or 0
    end
  end
  closeRooms(begin, last, rooms)
end
