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
--                       ADJUST   spends `quantity` even where there is no room, or gives it back where it is below 0:
--                                only to where it was spent (`detail`, a mark), or anywhere (`detail` -1)
--                       CLEAR    forgets the keys
--                       ACQUIRE  takes a vacancy where `detail` of the last cell is 1; else spends as of the first instant at which
--                                there is room; either if that is at most `amount` µs from now
--                       GIVE_UP  takes an ACQUIRE back where nobody has spent since: where (`amount`, `quantity`) is what it
--                                left, rolled to the state's time, there (`amount`, `detail`) is what was before; else it
--                                becomes a vacancy, which starts at `detail` of the last cell
--                       The last cell of these two names the quantity that is asked, and the key of the vacancies
-- Reply    the echo, and little-endian doubles: now; each small state as it was read (NaN: a fresh key); and for each log of each
--          request, in order: available before, resetAfter after, retryAfter after for one more (0 where it would pass), and
--          nextAfter after: until one unit more than is available then;
--          for each ACQUIRE the vacancy that it has taken, as it is kept (start -1: none); for each GIVE_UP its states after
--
-- All is decided before anything is written: an error leaves nothing half-done. Every key is written with its TTL.

--#include common.lua
-- Only those that a call needs, each as a function's result: src/redis/call/scripts.ts puts them in.
local algorithms = {
--#include <algorithms>
}
--#include decide_each.lua

local CHECK, ADJUST, CLEAR, ACQUIRE, GIVE_UP, ONE = 0, 1, 2, 3, 4, 5

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

local remoteAnswers = {}

local function answerRemotely(algorithm, quota, quantity, key, available)
  local log = new1Of[key]
  local asked, left = max(quantity, 1), algorithm.available(now, quota, log)
  local retryAfter, nextAfter = 0, 0
  if asked <= quota.limit and asked > left then
    retryAfter = algorithm.retryAfter(asked, now, quota, log)
  end
  if left < quota.limit then
    nextAfter = asked == left + 1 and retryAfter or algorithm.retryAfter(left + 1, now, quota, log)
  end
  local place = #remoteAnswers
  remoteAnswers[place + 1] = available
  remoteAnswers[place + 2] = algorithm.resetAfter(now, quota, log)
  remoteAnswers[place + 3] = retryAfter
  remoteAnswers[place + 4] = nextAfter
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

-- What was given back in full is as if it had never been.
local function giveBackTo(algorithm, quota, key, new1, new2, new3, new4)
  changed[key] = changed[key] or GIVEN_BACK
  if algorithm.resetAfter(now, quota, new1, new2, new3, new4) <= 0 then
    new1, new2, new3, new4 = algorithm.open(now, quota)
    present[key] = false
  end
  new1Of[key], new2Of[key], new3Of[key], new4Of[key] = new1, new2, new3, new4
end

local function adjust(algorithm, quota, key, change, mark)
  local old1, old2, old3, old4 = new1Of[key], new2Of[key], new3Of[key], new4Of[key]
  if change > 0 then
    new1Of[key], new2Of[key], new3Of[key], new4Of[key] = algorithm.spend(change, now, quota, old1, old2, old3, old4)
    present[key] = true
    changed[key] = SPENT
  elseif change < 0 and present[key] then
    if mark < 0 or not algorithm.giveBack then
      giveBackTo(algorithm, quota, key, algorithm.spend(change, now, quota, old1, old2, old3, old4))
    else
      giveBackTo(algorithm, quota, key, algorithm.giveBack(-change, mark, now, quota, old1, old2, old3, old4))
    end
  end
end

-- How long until all layers have room, in µs; nil where they never have.
local function waitFor(begin, last)
  local wait = 0
  for cell = begin, last, 4 do
    local layer, quantity, key = argument[cell], argument[cell + 1], argument[cell + 2]
    if quantity > quotas[layer].limit then
      return nil
    end
    wait = max(wait, counted[layer].retryAfter(quantity, now, quotas[layer], new1Of[key], new2Of[key]))
  end
  return wait
end

--#include vacancies.lua

local function acquire(begin, last, longest)
  local quantity, set, mayTake = argument[last + 5], KEYS[argument[last + 6]], argument[last + 7] == 1
  local wait = waitFor(begin, last)
  local vacancy = mayTake and wait and quantity > 0 and takeVacancy(begin, last, set, quantity, wait, longest)
  local place = #remoteAnswers
  for number = 1, 3 + (last - begin + 4) / 2 do
    remoteAnswers[place + number] = vacancy and vacancy[number] or -1
  end
  if vacancy or quantity == 0 or not wait or wait > longest then
    return
  end
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    new1Of[key], new2Of[key] = counted[layer].spendLater(quantity, wait, now, quotas[layer], new1Of[key], new2Of[key])
    present[key] = true
    changed[key] = SPENT
  end
end

local function giveUp(begin, last, time)
  local turn = { argument[last + 7], time }
  for cell = begin, last, 4 do
    turn[#turn + 1] = argument[cell + 1]
    turn[#turn + 1] = argument[cell + 3]
  end
  turn[#turn + 1] = argument[last + 5]
  addVacancy(turn, begin, last, KEYS[argument[last + 6]])
  for cell = begin, last, 4 do
    local key = argument[cell + 2]
    remoteAnswers[#remoteAnswers + 1] = new1Of[key]
    remoteAnswers[#remoteAnswers + 1] = new2Of[key]
  end
end

local function act(kind, begin, last, amount)
  if kind == ACQUIRE or kind == GIVE_UP then
    -- The last cell is no state.
    last = last - 4
  end
  for cell = begin, last, 4 do
    if not owner[argument[cell + 2]] then
      load(argument[cell + 2], argument[cell])
    end
  end
  if kind == ACQUIRE then
    return acquire(begin, last, amount)
  elseif kind == GIVE_UP then
    return giveUp(begin, last, amount)
  end
  for cell = begin, last, 4 do
    local layer, quantity, key, detail = argument[cell], argument[cell + 1], argument[cell + 2], argument[cell + 3]
    local algorithm, quota = counted[layer], quotas[layer]
    if kind == ADJUST then
      adjust(algorithm, quota, key, quantity, detail)
    elseif kind == CLEAR then
      new1Of[key], new2Of[key], new3Of[key], new4Of[key] = algorithm.open(now, quota)
      present[key] = false
      changed[key] = GIVEN_BACK
    end
    if algorithm.size == 0 then
      -- As it was before: who reads the answers takes off what was spent.
      local spent = kind == ADJUST and max(quantity, 0) or 0
      answerRemotely(algorithm, quota, 0, key, algorithm.available(now, quota, new1Of[key]) + spent)
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
    act(kind, begin, last, amount)
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
if #remoteAnswers > 0 then
  reply = reply .. structPack('<' .. string.rep('d', #remoteAnswers), unpack(remoteAnswers))
end
return reply
