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
  local format = '<I6I6' .. string.rep('d', algorithm.size)
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

--#include load_states.lua

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

--#include write_states.lua

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
