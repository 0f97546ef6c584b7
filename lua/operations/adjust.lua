-- ADJUST: spends, even beyond the limit, or gives back. A part of batch.lua. Lua implementation of src/operations/adjust.ts.
--
-- Numbers: for each layer, the change; then, to settle a reservation, for each layer a mark: where in the window the units were spent. A refund
-- has no marks.

local function adjust(begin, last, numbers, amount)
  local layers = (last - begin) / 4 + 1
  for cell = begin, last, 4 do
    local number = numbers + 1 + (cell - begin) / 4
    local change, mark = argument[number], amount > layers and argument[number + layers]
    local layer, key = argument[cell], argument[cell + 2]
    local algorithm, quota = counted[layer], quotas[layer]
    local old1, old2, old3, old4 = new1Of[key], new2Of[key], new3Of[key], new4Of[key]
    if change > 0 then
      new1Of[key], new2Of[key], new3Of[key], new4Of[key] = algorithm.spend(change, now, quota, old1, old2, old3, old4)
      present[key] = true
      changed[key] = SPENT
    elseif change < 0 and present[key] then
      if mark and algorithm.giveBack then
        leave(algorithm, quota, key, algorithm.giveBack(-change, mark, now, quota, old1, old2, old3, old4))
      else
        leave(algorithm, quota, key, algorithm.spend(change, now, quota, old1, old2, old3, old4))
      end
    end
  end
end

operations[1] = adjust
