-- Checks of keys that may be blocked. A part of batch.lua for calls that hold such checks. During a block a check changes nothing; otherwise a
-- refusal may start a lock-out. Lua implementation of src/algorithms/blockable.ts and of strike and extend in src/algorithms/block.ts.
--
-- A run of kind BLOCK stands before the run that it concerns. Its cell is the state of the block. Its numbers: the first of the cells in
-- the next run that belong to the block's key, counted from 0; how many these are; 1 if the key is to spend, 0 if it is only looked at; and
-- the lengths of successive lock-outs in µs, none if a refusal starts no lock-out.
local NUMBERS = 3

-- Strikes not yet forgotten.
local function remembered(quota, ends, strikes)
  if now <= ends then
    return strikes
  end
  return max(0, strikes - floor((now - ends) / quota.period))
end

-- Called by batch.lua for each run of kind BLOCK, with the index in `argument` of the run's cell.
function addBlock(cell)
  blocks = blocks or {}
  blocks[#blocks + 1] = cell
  if not owner[argument[cell + 2]] then
    load(argument[cell + 2], argument[cell])
  end
end

-- µs until all layers that are short of what is needed have their whole quota again; below 0: none is short. Permits are never counted as
-- short. `neededIn` gives the units that a cell needs.
local function wholeAfter(first, last, turn, neededIn)
  local whole = -1
  for cell = first, last, 4 do
    local layer, state = argument[cell], argument[cell + 2] + turn * argument[cell + 3]
    local algorithm, quota = counted[layer], quotas[layer]
    local new1, new2, new3, new4 = new1Of[state], new2Of[state], new3Of[state], new4Of[state]
    -- Only the state of permits has more than four numbers.
    if algorithm.size <= 4 and neededIn(cell) > algorithm.available(now, quota, new1, new2, new3, new4) then
      whole = max(whole, algorithm.resetAfter(now, quota, new1, new2, new3, new4))
    end
  end
  return whole
end

-- Starts the next lock-out on the block of `cell`, for at least `whole` µs.
local function strike(cell, state, whole)
  local strikes = remembered(quotas[argument[cell]], new1Of[state], new2Of[state])
  local lengths = argument[cell - 2] - NUMBERS
  local length = argument[cell + 4 + NUMBERS + min(strikes, lengths - 1)]
  new1Of[state] = min(now + max(length, whole), MAXIMUM_UNITS)
  new2Of[state] = min(strikes + 1, MAXIMUM_UNITS)
  present[state], changed[state] = true, SPENT
end

-- Also called by lua/operations/permits.lua. Strikes if a layer is short of what `neededIn` gives for its cell.
function strikeIfRefused(block, begin, turn, neededIn)
  if argument[block - 2] == NUMBERS then
    return
  end
  local first = begin + 4 * argument[block + 4]
  local whole = wholeAfter(first, first + 4 * argument[block + 5] - 4, turn, neededIn)
  if whole >= 0 then
    strike(block, argument[block + 2] + turn * argument[block + 3], whole)
  end
end

-- As `check` and `checkByTerms`, for keys with blocks.
function checkBlockable(kind, begin, last, repeats, count)
  local decide = kind == CHECK and check or checkByTerms
  local neededAt = last + 4 - begin / 4
  local function neededIn(cell)
    return kind == CHECK and argument[cell + 1] or argument[neededAt + cell / 4]
  end
  for turn = 0, repeats - 1 do
    local isHeld = false
    for index = 1, #blocks do
      local block = blocks[index]
      local state = argument[block + 2] + turn * argument[block + 3]
      if not owner[state] then
        load(state, argument[block])
      end
      isHeld = isHeld or new1Of[state] > now and argument[block + 6] == 1
    end
    local admitted = decide(begin, last, turn, turn, isHeld and 0 or count)
    if not isHeld and admitted < count then
      for index = 1, #blocks do
        strikeIfRefused(blocks[index], begin, turn, neededIn)
      end
    end
  end
end
