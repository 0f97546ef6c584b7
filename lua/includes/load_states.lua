-- The states that the requests of a call name, read when they are first named. A part of batch.lua.

-- The values where across_slots.lua has read them.
local values = KEYS.values or small > 0 and call('MGET', unpack(KEYS, 1, small)) or {}
-- For each value: where its records begin, by id. Empty: the value is damaged. Only of values that were searched.
local offsetsOf = {}
-- For each value: true if it is the record of a single state, and this state was loaded.
local isSole = {}
-- For each value the first of its states that was loaded; for each state the next of its value.
local firstOf, lastOf, nextOf = {}, {}, {}
-- For each state: its numbers after the requests already decided. A state of more than four numbers, and a log, is one table.
local new1Of, new2Of, new3Of, new4Of = {}, {}, {}, {}
-- Also for each state: the layer; until when it is kept in Redis; whether the state is present, after the requests already decided; and how
-- to write it: SPENT with a new expiry, GIVEN_BACK with the present one.
local owner, kept, present, changed = {}, {}, {}, {}
local SPENT, GIVEN_BACK = 1, 2
-- The states that are logs.
local logs = {}
-- The records for the reply.
local replied = {}

-- When a state expires, in µs of the server's clock.
local function expiryOf(algorithm, quota, new1, new2, new3, new4)
  local expiry
  if algorithm.expiresAt then
    expiry = algorithm.expiresAt(quota, new1, new2, new3, new4) + shift
  else
    expiry = now + (algorithm.keptFor or algorithm.resetAfter)(now, quota, new1, new2, new3, new4) + shift
  end
  -- Also if a user's algorithm gives Infinity or NaN.
  return expiry < LATEST_EXPIRY and expiry + -expiry % 1000 or LATEST_EXPIRY
end

-- Where the record of a layer begins in a value. nil: the value holds none.
local function offsetIn(key, value, layer)
  local offsets = offsetsOf[key]
  if not offsets then
    offsets = offsetsIn(value) or {}
    offsetsOf[key] = offsets
  end
  return offsets[idOf[layer]]
end

local function loadLog(state, layer)
  local algorithm, quota = counted[layer], quotas[layer]
  -- Rolling may discover that a log is damaged. The log then counts as fresh.
  local log = algorithm.roll(now, quota, algorithm.read(KEYS[(state - 1) % keyCount + 1]))
  present[state] = not log.fresh
  -- A log's expiry depends only on the log and the period, whichever quota of its name has written it.
  kept[state] = present[state] and shift == 0 and algorithm.expiresAt and algorithm.expiresAt(quota, log)
  new1Of[state] = log
  logs[#logs + 1] = state
end

local function load(state, layer)
  owner[state] = layer
  local algorithm, quota = counted[layer], quotas[layer]
  local size = algorithm.size
  if size == 0 then
    return loadLog(state, layer)
  end
  local key = (state - 1) % keyCount + 1
  if firstOf[key] then
    nextOf[lastOf[key]] = state
  else
    firstOf[key] = state
  end
  lastOf[key] = state
  local value = values[key]
  local record, id, expiry, old1, old2, old3, old4
  if value then
    local format, width = formatOf[layer], widthOf[layer]
    local offset = 1
    -- The usual value is a single record, which needs no search.
    if #value == width then
      record = value
      id, expiry, old1, old2, old3, old4 = structUnpack(format, value)
    end
    if id == idOf[layer] then
      isSole[key] = true
    else
      offset = offsetIn(key, value, layer)
      record = offset and value:sub(offset, offset + width - 1)
      if offset then
        id, expiry, old1, old2, old3, old4 = structUnpack(format, value, offset)
      end
    end
    if record and size > 4 then
      old1 = { select(3, structUnpack(format, value, offset)) }
      -- struct.unpack also returns where it has stopped.
      old1[size + 1] = nil
    end
  end
  if record then
    expiry = expiry * 1000
  end
  if record and expiry > serverNow and (algorithm.valid or areFinite)(quota, old1, old2, old3, old4) then
    replied[#replied + 1] = record
    present[state] = true
    kept[state] = expiry
    new1Of[state], new2Of[state], new3Of[state], new4Of[state] = algorithm.roll(now, quota, old1, old2, old3, old4)
    return
  end
  replied[#replied + 1] = nothingOf[layer]
  new1Of[state], new2Of[state], new3Of[state], new4Of[state] = algorithm.open(now, quota)
end
