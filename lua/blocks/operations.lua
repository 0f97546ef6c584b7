-- The operations on blocks, for batch.lua. Comes after checks.lua. Lua implementation of src/operations/block.ts.

-- Numbers: 1 and the end in µs since the epoch; or 0 and the length in µs.
local function block(_, _, numbers)
  local key, ends = argument[blocks[1] + 2], argument[numbers + 2]
  if argument[numbers + 1] == 0 then
    ends = now + ends
  end
  if ends > new1Of[key] and ends > now then
    new2Of[key] = remembered(quotas[argument[blocks[1]]], new1Of[key], new2Of[key])
    new1Of[key] = ends
    present[key], changed[key] = true, SPENT
  end
end

-- Lifts the block, and forgets the strikes.
local function unblock()
  local key = argument[blocks[1] + 2]
  new1Of[key], new2Of[key] = 0, 0
  present[key], changed[key] = false, GIVEN_BACK
end

-- Number: a quantity. Starts a lock-out if some layer is short of it.
local function strikeIfShort(begin, last, numbers)
  local cell = blocks[1]
  local key = argument[cell + 2]
  local whole = wholeAfter(begin, last, 0, function()
    return argument[numbers + 1]
  end)
  if whole >= 0 and argument[cell - 2] > NUMBERS and new1Of[key] <= now then
    strike(cell, key, whole)
  end
end

operations[21] = block
operations[22] = unblock
operations[23] = strikeIfShort
