-- CLEAR: makes the keys fresh. A part of batch.lua. Lua implementation of src/operations/clear.ts.

local function clear(begin, last, _, _, sets)
  for set = 1, #sets do
    call('DEL', sets[set])
  end
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    new1Of[key], new2Of[key], new3Of[key], new4Of[key] = counted[layer].open(now, quotas[layer])
    present[key] = false
    changed[key] = GIVEN_BACK
  end
end

operations[2] = clear
