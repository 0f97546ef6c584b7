-- Decides many requests in one atomic step, in order. Each request spends in all of its layers or in none. Lua implementation of
-- src/algorithms/driver.ts. The functions of algorithms are called here and not inlined, because inlining would need a script for each
-- combination of algorithms (`npm run lua:cost`).
--
-- KEYS     the states: first those of a few packed numbers, then the logs
-- ARGV[1]  the call's echo: a text of 8 bytes
-- ARGV[2]  JSON, a flat array of numbers:
--            clock      µs since the epoch; -1: use the server's clock
--            small      how many of KEYS are packed numbers
--            layers     how many layers follow, each: algorithm (index in `algorithms`), count, period in µs (a calendar quota: 0), limit,
--                       fixedQuota (1 if only these numbers write the state); for a calendar quota also four bounds, of the window in
--                       which the process believes, and of its neighbours
--            runs       up to the end, each: kind, repeats, amount, cells (their number), and for each cell: layer, quantity, key, detail
--                       ONE      `repeats` checks of one packed layer, each for `amount` callers, on consecutive keys that are in no
--                                other run
--                       CHECK    `repeats` checks, each for `amount` callers; the key of the next check is `detail` further on
--                       others    operations by their code. `amount` numbers follow the cells: the arguments of the operation, see
--                                src/operations. Last cells of layer 0 are the keys of the operation's additional data
-- Reply    the echo, then little-endian doubles: now; each small state as it was read (NaN: a fresh key); then for each request, in
--          order, the numbers replied by its operation, and the numbers about each of its logs (see `answerRemotely`)
--          If the time lies outside of the bounds of a calendar quota: the echo and now, and nothing was decided
--
-- Everything is decided before anything is written, so that an error leaves nothing half-done. Every key is written with a TTL.

--#include common.lua
-- src/redis/call/scripts.ts inserts the algorithms that a call needs, each as the result of a function.
local algorithms = {
--#include <algorithms>
}
--#include decide_each.lua

local ONE, CHECK = -1, 0

local argument = cjson.decode(ARGV[2])
local clock = argument[1]
--#include read_clock.lua
local small, layers = argument[2], argument[3]

local quotas, counted = {}, {}
local at = 4
for layer = 1, layers do
  counted[layer] = algorithms[argument[at]]
  quotas[layer] = {
    count = argument[at + 1],
    period = argument[at + 2],
    limit = argument[at + 3],
    fixedQuota = argument[at + 4] == 1 and not passedIn,
  }
  at = at + 5
  local placeWindow = counted[layer].placeWindow
  if placeWindow then
    if not placeWindow(now, quotas[layer], unpack(argument, at, at + 3)) then
      return ARGV[1] .. structPack('<d', now)
    end
    at = at + 4
  end
end

local values = small > 0 and call('MGET', unpack(KEYS, 1, small)) or {}
-- For a key of a run of kind ONE: the new value, and its expiry.
local written, expiries = {}, {}
-- For all other keys: the current state, after the requests already decided, as up to four numbers. A longer state is one table.
local new1Of, new2Of, new3Of, new4Of = {}, {}, {}, {}
-- Also for these keys: the layer; the expiry that the key has in Redis; whether the state is present, after the requests already decided;
-- and how to write the key: SPENT with a new TTL, GIVEN_BACK with the present TTL.
local owner, kept, present, changed = {}, {}, {}, {}
local SPENT, GIVEN_BACK = 1, 2

local function load(key, layer)
  local algorithm, quota = counted[layer], quotas[layer]
  owner[key] = layer
  if algorithm.size == 0 then
    -- Rolling may discover that a log is damaged. The log then counts as fresh.
    local log = algorithm.roll(now, quota, algorithm.read(KEYS[key]))
    present[key] = not log.fresh
    kept[key] = present[key] and quota.fixedQuota and expiryOf(algorithm, now, quota, log)
    new1Of[key] = log
    return
  end
  local value = values[key]
  if value and #value == algorithm.size * 8 then
    local old1, old2, old3, old4
    if algorithm.size > 4 then
      old1 = { structUnpack(FORMATS[algorithm.size], value) }
    else
      old1, old2, old3, old4 = structUnpack(FORMATS[algorithm.size], value)
    end
    if (algorithm.valid or areFinite)(quota, old1, old2, old3, old4) then
      present[key] = true
      kept[key] = quota.fixedQuota and algorithm.expiresAt and algorithm.expiresAt(quota, old1, old2, old3, old4)
      new1Of[key], new2Of[key], new3Of[key], new4Of[key] = algorithm.roll(now, quota, old1, old2, old3, old4)
      return
    end
  end
  values[key] = NOTHING:sub(1, algorithm.size * 8)
  new1Of[key], new2Of[key], new3Of[key], new4Of[key] = algorithm.open(now, quota)
end

-- Numbers of the reply after the states.
local said = {}

-- Replies about a log, which is too long to be sent back. If its algorithm has `answers`, these numbers; otherwise four: `available`
-- (before a check, or after an operation); then, as of after the request, resetAfter; retryAfter for the requested quantity (0: it would
-- pass); and nextAfter, the time until one unit more than now is available.
local function answerRemotely(algorithm, quota, quantity, key, available)
  local log = new1Of[key]
  if algorithm.answers then
    local answers = { algorithm.answers(quantity, available, now, quota, log) }
    for number = 1, #answers do
      said[#said + 1] = answers[number]
    end
    return
  end
  local asked, left = max(quantity, 1), algorithm.available(now, quota, log)
  local retryAfter, nextAfter = 0, 0
  if asked <= quota.limit and asked > left then
    retryAfter = algorithm.retryAfter(asked, now, quota, log)
  end
  if left < quota.limit then
    nextAfter = asked == left + 1 and retryAfter or algorithm.retryAfter(left + 1, now, quota, log)
  end
  local count = #said
  said[count + 1] = available
  said[count + 2] = algorithm.resetAfter(now, quota, log)
  said[count + 3] = retryAfter
  said[count + 4] = nextAfter
end

local logs = #KEYS > small

local function check(begin, last, repeats, count)
  for turn = 0, repeats - 1 do
    local admitted = count
    local before
    for cell = begin, last, 4 do
      local layer, quantity = argument[cell], argument[cell + 1]
      local key = argument[cell + 2] + turn * argument[cell + 3]
      if not owner[key] then
        load(key, layer)
      end
      local available = counted[layer].available(now, quotas[layer], new1Of[key], new2Of[key], new3Of[key], new4Of[key])
      if quantity > 0 and available < quantity * admitted then
        admitted = floor(available / quantity)
      end
      if logs then
        before = before or {}
        before[cell] = available
      end
    end
    for cell = begin, last, 4 do
      local layer, quantity = argument[cell], argument[cell + 1]
      local key = argument[cell + 2] + turn * argument[cell + 3]
      local algorithm, quota = counted[layer], quotas[layer]
      if quantity > 0 and admitted > 0 then
        new1Of[key], new2Of[key], new3Of[key], new4Of[key] =
          algorithm.spend(quantity * admitted, now, quota, new1Of[key], new2Of[key], new3Of[key], new4Of[key])
        present[key] = true
        changed[key] = SPENT
      end
      if algorithm.size == 0 then
        answerRemotely(algorithm, quota, quantity, key, before[cell])
      end
    end
  end
end

-- Stores a state. A state that need not be kept becomes that of a fresh key.
local function leave(algorithm, quota, key, new1, new2, new3, new4)
  changed[key] = changed[key] or GIVEN_BACK
  if (algorithm.keptFor or algorithm.resetAfter)(now, quota, new1, new2, new3, new4) <= 0 then
    new1, new2, new3, new4 = algorithm.open(now, quota)
    present[key] = false
  end
  new1Of[key], new2Of[key], new3Of[key], new4Of[key] = new1, new2, new3, new4
end

-- By their codes, as in src/operations.
-- Parameters of each operation: its first and last cell; the index in `argument` just before its numbers; the count of these numbers; and the
-- keys of its additional data.
local operations = {}
--#include <operations>
--#include <permits>

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
    local layer, key = argument[cell], argument[cell + 2]
    local algorithm, quota = counted[layer], quotas[layer]
    if algorithm.size == 0 then
      answerRemotely(algorithm, quota, argument[cell + 1], key, algorithm.available(now, quota, new1Of[key]))
    end
  end
end

-- Formatted expiries are cached, because most keys of a call share their expiry.
local texts, newText = {}, textOf

local function textOf(expiry)
  local text = texts[expiry]
  if not text then
    text = newText(expiry, now, passedIn)
    texts[expiry] = text
  end
  return text
end

local function write(key, text, expiry)
  --#include write_state.lua
end

local finish = #argument
while at <= finish do
  local kind, repeats, amount, cells = argument[at], argument[at + 1], argument[at + 2], argument[at + 3]
  local begin = at + 4
  local last = begin + 4 * cells - 4
  if kind == ONE then
    local layer, from = argument[begin], argument[begin + 2]
    local to, quantity = from + repeats - 1, argument[begin + 1]
    decideEach(now, counted[layer], quotas[layer], quantity, amount, from, to, values, written, expiries)
  elseif kind == CHECK then
    check(begin, last, repeats, amount)
  else
    operate(kind, begin, last, amount)
    last = last + amount
  end
  at = last + 4
end

for key = 1, #KEYS do
  if written[key] then
    write(KEYS[key], written[key], expiries[key])
  elseif changed[key] then
    local algorithm, quota = counted[owner[key]], quotas[owner[key]]
    local new1, new2, new3, new4 = new1Of[key], new2Of[key], new3Of[key], new4Of[key]
    if not present[key] then
      call('DEL', KEYS[key])
    else
      local expiry = changed[key] == SPENT and expiryOf(algorithm, now, quota, new1, new2, new3, new4)
      if expiry == kept[key] then
        expiry = nil
      end
      if algorithm.size == 0 then
        algorithm.write(KEYS[key], expiry and textOf(expiry), passedIn, new1)
      else
        local text
        if algorithm.size > 4 then
          text = structPack(FORMATS[algorithm.size], unpack(new1))
        else
          text = structPack(FORMATS[algorithm.size], new1, new2, new3, new4)
        end
        write(KEYS[key], text, expiry)
      end
    end
  end
end

local reply = ARGV[1] .. structPack('<d', now) .. table.concat(values, '', 1, small)
if #said > 0 then
  reply = reply .. structPack('<' .. string.rep('d', #said), unpack(said))
end
return reply
