-- Decides many requests in one atomic step, in order. Each request spends in all of its layers or in none. Lua implementation of
-- src/algorithms/driver.ts. The functions of algorithms are called here and not inlined, because inlining would need a script for each
-- combination of algorithms (`npm run lua:cost`).
--
-- KEYS     the values of the keys, as includes/records.lua describes them; then the logs; then additional data of operations
-- ARGV[1]  the call's echo: a text of 8 bytes
-- ARGV[2]  JSON, a flat array of numbers:
--            clock      µs since the epoch; -1: use the server's clock
--            small      how many of KEYS are values
--            layers     how many layers follow, each: algorithm (index in `algorithms`), id, count, period in µs (a calendar quota: 0), limit;
--                       for a calendar quota also four bounds, of the window in which the process believes, and of its neighbours
--            runs       up to the end, each: kind, repeats, amount, cells (their number), and for each cell: layer, quantity, state, detail.
--                       A state is told by its key and its layer: key + (layer - 1) × the number of KEYS
--                       CHECK    `repeats` checks, each for `amount` callers; the state of the next check is `detail` further on
--                       CHECK_BY_TERMS    as CHECK; a number for each cell follows the cells, see check_by_terms.lua
--                       BLOCK    tells of the next run that its keys may be blocked, see lua/blocks/checks.lua. `amount` numbers follow
--                       others    operations by their code. `amount` numbers follow the cells: the arguments of the operation, see
--                                src/operations. Last cells of layer 0 are the keys of the operation's additional data
-- Reply    the echo, then little-endian doubles: now; the record of each small state as it was read (NaN: a fresh state), in the order in
--          which the cells name them first; then for each request, in order, the numbers replied by its operation, and the numbers about
--          each of its logs (see `answerRemotely`)
--          If the time lies outside of the bounds of a calendar quota: the echo and now, and nothing was decided
--
-- Everything is decided before anything is written, so that an error leaves nothing half-done. Every key is written with a TTL.

--#include common.lua
--#include text_of.lua
-- src/redis/call/scripts.ts inserts the algorithms that a call needs, each as the result of a function.
local algorithms = {
--#include <algorithms>
}

local CHECK, CHECK_BY_TERMS, BLOCK, LEASE = 0, -1, -2, -3

local argument = cjson.decode(ARGV[2])
local clock = argument[1]
--#include read_clock.lua
--#include records.lua
local small, layers, keyCount = argument[2], argument[3], #KEYS

-- The default of `valid`, as in src/algorithms/with-defaults.ts.
local function areFinite(_, ...)
  for index = 1, select('#', ...) do
    local number = select(index, ...)
    if number and number - number ~= 0 then
      return false
    end
  end
  return true
end

-- For each layer: its algorithm and quota; and of its records the id, the format, the length, and the record replied for a fresh state.
local counted, quotas, idOf, formatOf, widthOf, nothingOf = {}, {}, {}, {}, {}, {}
local at = 4
for layer = 1, layers do
  local algorithm = algorithms[argument[at]]
  counted[layer], idOf[layer] = algorithm, argument[at + 1]
  quotas[layer] = { count = argument[at + 2], period = argument[at + 3], limit = argument[at + 4] }
  local format = '<dd' .. string.rep('d', algorithm.size)
  formatOf[layer], widthOf[layer] = format, HEADER + 8 * algorithm.size
  nothingOf[layer] = string.rep('\255', HEADER + 8 * algorithm.size)
  at = at + 5
  local placeWindow = algorithm.placeWindow
  if placeWindow then
    if not placeWindow(now, quotas[layer], unpack(argument, at, at + 3)) then
      return ARGV[1] .. structPack('<d', now)
    end
    at = at + 4
  end
end

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
  -- Also if a user's algorithm gives Infinity or NaN, because a record with such an expiry counts as damaged.
  return expiry < LATEST_EXPIRY and expiry or LATEST_EXPIRY
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

-- Numbers of the reply after the states.
local said = {}

--#include log_answers.lua

-- Replies about a log. If its algorithm has `answers`, these numbers; otherwise `available` (before a check, or after an operation), and the
-- answers as of after the request.
local function answerRemotely(algorithm, quota, quantity, state, available)
  local log = new1Of[state]
  if algorithm.answers then
    local answers = { algorithm.answers(quantity, available, now, quota, log) }
    for number = 1, #answers do
      said[#said + 1] = answers[number]
    end
    return
  end
  local count = #said
  said[count + 1] = available
  said[count + 2], said[count + 3], said[count + 4] = answersOf(algorithm, quota, quantity, log)
end

-- For each cell of a check on logs: the units available before.
local before = {}

-- Of the run at hand: the most units to lease to each key; and for how long, in µs.
local mostLeased, leasedFor = 0, 0

-- The units to lease to a key whose checks have all been admitted, from those left after them. Lua implementation of leasableUnits in
-- src/algorithms/lease.ts.
local function leasable(begin, last, count)
  local leased = mostLeased
  local quantity = argument[begin + 1]
  for cell = begin, last, 4 do
    local left = before[cell] - quantity * count
    leased = min(leased, (left - left % 8) / 8)
  end
  leased = leased - leased % quantity
  return leased >= 2 and leased or 0
end

-- Decides the checks `from` to `to` of a run, counted from 0. Returns how many callers of the last one were admitted.
local function check(begin, last, from, to, count)
  local admitted
  for turn = from, to do
    admitted = count
    for cell = begin, last, 4 do
      local layer, quantity = argument[cell], argument[cell + 1]
      local state = argument[cell + 2] + turn * argument[cell + 3]
      if not owner[state] then
        load(state, layer)
      end
      local available = counted[layer].available(now, quotas[layer], new1Of[state], new2Of[state], new3Of[state], new4Of[state])
      if quantity > 0 and available < quantity * admitted then
        admitted = floor(available / quantity)
      end
      before[cell] = available
    end
    local leased = mostLeased > 0 and admitted == count and leasable(begin, last, count) or 0
    for cell = begin, last, 4 do
      local layer, quantity = argument[cell], argument[cell + 1]
      local state = argument[cell + 2] + turn * argument[cell + 3]
      local algorithm, quota = counted[layer], quotas[layer]
      if quantity > 0 and admitted > 0 then
        new1Of[state], new2Of[state], new3Of[state], new4Of[state] =
          algorithm.spend(quantity * admitted, now, quota, new1Of[state], new2Of[state], new3Of[state], new4Of[state])
        present[state] = true
        changed[state] = SPENT
      end
      if leased > 0 then
        local time = algorithm.leasedAt and algorithm.leasedAt(now, leasedFor) or now
        new1Of[state], new2Of[state], new3Of[state], new4Of[state] =
          algorithm.spend(leased, time, quota, new1Of[state], new2Of[state], new3Of[state], new4Of[state])
      end
      if algorithm.size == 0 then
        answerRemotely(algorithm, quota, quantity, state, before[cell])
      end
    end
  end
  return admitted
end

--#include check_by_terms.lua

-- Stores a state. A state that need not be kept becomes that of a fresh key.
local function leave(algorithm, quota, state, new1, new2, new3, new4)
  changed[state] = changed[state] or GIVEN_BACK
  if (algorithm.keptFor or algorithm.resetAfter)(now, quota, new1, new2, new3, new4) <= 0 then
    new1, new2, new3, new4 = algorithm.open(now, quota)
    present[state] = false
  end
  new1Of[state], new2Of[state], new3Of[state], new4Of[state] = new1, new2, new3, new4
end

-- By their codes, as in src/operations.
-- Parameters of each operation: its first and last cell; the index in `argument` just before its numbers; the count of these numbers; and the
-- keys of its additional data.
local operations = {}
-- The cells of the BLOCK runs before the run at hand; nil: there are none.
local blocks
--#include <operations>
local addBlock, checkBlockable, strikeIfRefused
--#include <permits>
-- src/redis/call/scripts.ts inserts the files of lua/blocks where a call needs them.
--#include <blocks>

local function operate(code, begin, last, amount)
  local numbers, beside = last + 3, {}
  while argument[last] == 0 do
    table.insert(beside, 1, KEYS[argument[last + 2]])
    last = last - 4
  end
  for cell = begin, last, 4 do
    if not owner[argument[cell + 2]] then
      load(argument[cell + 2], argument[cell])
    end
  end
  operations[code](begin, last, numbers, amount, beside)
  for cell = begin, last, 4 do
    local layer, state = argument[cell], argument[cell + 2]
    local algorithm, quota = counted[layer], quotas[layer]
    if algorithm.size == 0 then
      answerRemotely(algorithm, quota, argument[cell + 1], state, algorithm.available(now, quota, new1Of[state]))
    end
  end
end

-- The record of a changed state, and its expiry. '': the state is that of a fresh key, so it needs none.
local function recordOf(state)
  local layer = owner[state]
  local algorithm, quota = counted[layer], quotas[layer]
  local new1, new2, new3, new4 = new1Of[state], new2Of[state], new3Of[state], new4Of[state]
  if not present[state] then
    return '', 0
  end
  local expiry = changed[state] == GIVEN_BACK and kept[state] or expiryOf(algorithm, quota, new1, new2, new3, new4)
  if algorithm.size > 4 then
    return structPack(formatOf[layer], idOf[layer], expiry, unpack(new1)), expiry
  end
  return structPack(formatOf[layer], idOf[layer], expiry, new1, new2, new3, new4), expiry
end

local function writeOnly(key, state)
  local text, expiry = recordOf(state)
  if text == '' then
    call('DEL', KEYS[key])
  elseif expiry == kept[state] then
    call('SETRANGE', KEYS[key], '0', text)
  else
    call('SET', KEYS[key], text, 'PXAT', textOf(expiry))
  end
end

local function writeValue(key)
  local state = firstOf[key]
  if not nextOf[state] and (isSole[key] or not values[key]) then
    if changed[state] then
      writeOnly(key, state)
    end
    return
  end
  local ids, texts, latest = {}, {}, 0
  while state do
    if changed[state] then
      local id = idOf[owner[state]]
      local text, expiry = recordOf(state)
      ids[#ids + 1], texts[id] = id, text
      latest = max(latest, expiry)
    end
    state = nextOf[state]
  end
  if ids[1] then
    rewrite(KEYS[key], values[key] or '', ids, texts, latest)
  end
end

local function writeLog(state)
  local algorithm, quota, log = counted[owner[state]], quotas[owner[state]], new1Of[state]
  local key = KEYS[(state - 1) % keyCount + 1]
  if not present[state] then
    call('DEL', key)
    return
  end
  local expiry = changed[state] == SPENT and expiryOf(algorithm, quota, log)
  if expiry == kept[state] then
    expiry = nil
  end
  algorithm.write(key, expiry and textOf(expiry), log)
end

local finish = #argument
while at <= finish do
  local kind, repeats, amount, cells = argument[at], argument[at + 1], argument[at + 2], argument[at + 3]
  local begin = at + 4
  local last = begin + 4 * cells - 4
  if kind == BLOCK then
    addBlock(begin)
    last = last + amount
  elseif kind == LEASE then
    mostLeased, leasedFor = repeats, amount
  else
    if kind > CHECK then
      operate(kind, begin, last, amount)
      last = last + amount
    elseif blocks then
      checkBlockable(kind, begin, last, repeats, amount)
    elseif kind == CHECK then
      check(begin, last, 0, repeats - 1, amount)
    else
      checkByTerms(begin, last, 0, repeats - 1, amount)
    end
    if kind == CHECK_BY_TERMS then
      last = last + cells
    end
    blocks, mostLeased = nil, 0
  end
  at = last + 4
end

for key = 1, small do
  if firstOf[key] then
    writeValue(key)
  end
end
for place = 1, #logs do
  if changed[logs[place]] then
    writeLog(logs[place])
  end
end

local reply = ARGV[1] .. structPack('<d', now) .. table.concat(replied)
if #said > 0 then
  reply = reply .. structPack('<' .. string.rep('d', #said), unpack(said))
end
return reply
