-- Decides many requests in one atomic step, in order: all of a request's layers are spent in, or none. Lua implementation of src/algorithms/driver.ts.
-- The functions of algorithms are called here, not put in: a program for each mix of algorithms would be too many (`npm run lua:cost`).
--
-- KEYS     the states: first those that are a few packed numbers, then the logs
-- ARGV[1]  the call's echo: a text of 8 bytes
-- ARGV[2]  JSON, a flat array of numbers:
--            clock      µs since the epoch; -1: the server's
--            small      how many of KEYS are packed numbers
--            layers     how many follow, each: algorithm (place in `algorithms`), count, period in µs, limit,
--                       fixedQuota (1 where only these numbers write the state)
--            runs       until the end, each: kind, repeats, amount, cells, and for each cell: layer, quantity, key, detail
--                       ONE      `repeats` checks of one packed layer, each asked `amount` times, on keys that follow each
--                                other and are in no other run
--                       CHECK    `repeats` checks, each asked `amount` times; the keys of the next are `detail` places on
--                       the others are operations: `amount` numbers follow the cells, those that the operation of this code in
--                       src/operations tells. A last cell of layer 0 is the key of what the operation keeps beside the states
-- Reply    the echo, and little-endian doubles: now; each small state as it was read (NaN: a fresh key); then for each request, in
--          order, what its operation says, and for each of its logs what is answered of it (see `answerRemotely`)
--
-- All is decided before anything is written: an error leaves nothing half-done. Every key is written with its TTL.

--#include common.lua
-- Only those that a call needs, each as a function's result: src/redis/call/scripts.ts puts them in.
local algorithms = {
--#include <algorithms>
}
--#include decide_each.lua

local ONE, CHECK = -1, 0
-- Codes of operations.
local ADJUST, CLEAR, TAKE_TURN, GIVE_UP_TURN = 1, 2, 3, 4

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
end

local values = small > 0 and call('MGET', unpack(KEYS, 1, small)) or {}
-- The new value of a key, and until when it is kept.
local written, expiries = {}, {}
-- States of keys that more than one request may touch, number by number, as they stand after what has been decided.
local new1Of, new2Of, new3Of, new4Of = {}, {}, {}, {}
-- The layer that such a key is counted by; until when it is kept now; whether it is there, counting what has been decided; and how
-- it is to be written: with a new TTL, or with the one it has.
local owner, kept, present, changed = {}, {}, {}, {}
local SPENT, GIVEN_BACK = 1, 2

local function load(key, layer)
  local algorithm, quota = counted[layer], quotas[layer]
  owner[key] = layer
  if algorithm.size == 0 then
    -- What is damaged may show only when it is rolled, and reads as fresh then.
    local log = algorithm.roll(now, quota, algorithm.read(KEYS[key]))
    present[key] = not log.fresh
    kept[key] = present[key] and quota.fixedQuota and expiryOf(algorithm, now, quota, log)
    new1Of[key] = log
    return
  end
  local value = values[key]
  if value and #value == algorithm.size * 8 then
    local old1, old2, old3, old4 = structUnpack(FORMATS[algorithm.size], value)
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

-- Numbers of the reply that are no states.
local said = {}

-- Of a log, which is too long to be sent back: the numbers that `answers` of its algorithm gives, or by default what is `available`
-- (before a check, after an operation), and as they are after it resetAfter, retryAfter for what was asked (0 where that would pass),
-- and nextAfter, until one unit more than is available could be spent.
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

--#include adjust.lua
--#include clear.lua
--#include turns.lua

-- What each is given: its first and last cell; where its numbers start in `argument`, less one, and how many there are; and the key of
-- what it keeps beside the states.
local operations = {
  [ADJUST] = adjust,
  [CLEAR] = clear,
  [TAKE_TURN] = takeTurn,
  [GIVE_UP_TURN] = giveUpTurn,
}

local function operate(code, begin, last, amount)
  local numbers, beside = last + 3, nil
  if argument[last] == 0 then
    beside = KEYS[argument[last + 2]]
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
      answerRemotely(algorithm, quota, 0, key, algorithm.available(now, quota, new1Of[key]))
    end
  end
end

-- Few instants are ever made texts of, for the keys of a call share most.
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
    if algorithm.resetAfter(now, quota, new1, new2, new3, new4) <= 0 then
      call('DEL', KEYS[key])
    else
      local expiry = changed[key] == SPENT and expiryOf(algorithm, now, quota, new1, new2, new3, new4)
      if expiry == kept[key] then
        expiry = nil
      end
      if algorithm.size == 0 then
        algorithm.write(KEYS[key], expiry and textOf(expiry), passedIn, new1)
      else
        write(KEYS[key], structPack(FORMATS[algorithm.size], new1, new2, new3, new4), expiry)
      end
    end
  end
end

local reply = ARGV[1] .. structPack('<d', now) .. table.concat(values, '', 1, small)
if #said > 0 then
  reply = reply .. structPack('<' .. string.rep('d', #said), unpack(said))
end
return reply
