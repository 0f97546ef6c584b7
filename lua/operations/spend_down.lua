-- SPEND DOWN: spends until no more is left than a number says. A part of batch.lua. Lua implementation of src/operations/spend-down.ts.
--
-- Numbers: for each layer, how many units may be left; below 0: the layer stays as it is.

local function spendDown(begin, last, numbers)
  for cell = begin, last, 4 do
    local layer, key = argument[cell], argument[cell + 2]
    local algorithm, quota = counted[layer], quotas[layer]
    local most = argument[numbers + 1 + (cell - begin) / 4]
    local old1, old2, old3, old4 = new1Of[key], new2Of[key], new3Of[key], new4Of[key]
    local left = algorithm.available(now, quota, old1, old2, old3, old4)
    if most >= 0 and left > most then
      new1Of[key], new2Of[key], new3Of[key], new4Of[key] =
        algorithm.spend(left - most, now, quota, old1, old2, old3, old4)
      present[key] = true
      changed[key] = SPENT
    end
  end
end

operations[24] = spendDown
