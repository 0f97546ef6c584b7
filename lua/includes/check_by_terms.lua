-- Decides checks that need other units in a layer than they spend there. Part of batch.lua. Lua implementation of hasRoom and settleSubject in
-- src/algorithms/driver.ts, for `count` callers in one step.
--
-- The quantity of a cell is what each caller spends there; below 0: as many units as there are, up to so many. After the cells, a number for
-- each: the units that must be available; below 0: a look, which needs none and only asks for so many.

-- Decides the checks `from` to `to` of a run, counted from 0. Returns how many callers of the last one were admitted.
local function checkByTerms(begin, last, from, to, count)
  local neededAt = last + 4 - begin / 4
  local admitted
  for turn = from, to do
    admitted = count
    local upTo, most = nil, MAXIMUM_UNITS
    for cell = begin, last, 4 do
      local layer, quantity = argument[cell], argument[cell + 1]
      local state = argument[cell + 2] + turn * argument[cell + 3]
      local needed = argument[neededAt + cell / 4]
      if not owner[state] then
        load(state, layer)
      end
      local available = counted[layer].available(now, quotas[layer], new1Of[state], new2Of[state], new3Of[state], new4Of[state])
      before[cell] = available
      if available < needed then
        admitted = 0
      elseif quantity > 0 then
        local left = available - needed + quantity
        admitted = min(admitted, (left - left % quantity) / quantity)
      elseif quantity < 0 then
        upTo, most = -quantity, min(most, available - needed + 1)
      end
    end
    if upTo then
      -- The last of them takes what is left.
      local callers = (most - most % upTo) / upTo
      admitted = min(admitted, most % upTo > 0 and callers + 1 or callers)
      most = min(most, admitted * upTo)
    end
    for cell = begin, last, 4 do
      local layer, quantity = argument[cell], argument[cell + 1]
      local state = argument[cell + 2] + turn * argument[cell + 3]
      local algorithm, quota = counted[layer], quotas[layer]
      local spent = quantity < 0 and admitted > 0 and most or max(quantity, 0) * admitted
      if spent > 0 then
        new1Of[state], new2Of[state], new3Of[state], new4Of[state] =
          algorithm.spend(spent, now, quota, new1Of[state], new2Of[state], new3Of[state], new4Of[state])
        present[state] = true
        changed[state] = SPENT
      end
      if algorithm.size == 0 then
        answerRemotely(algorithm, quota, math.abs(argument[neededAt + cell / 4]), state, before[cell])
      end
    end
  end
  return admitted
end
