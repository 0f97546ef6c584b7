-- Shared by the algorithms of calendar windows. Only batch.lua runs these: it sets the window of `quota` that contains `now`, by
-- `placeWindow`. Lua implementation of windowAt and areBounds in src/algorithms/calendar-window.ts.

-- Four bounds are those of three consecutive windows. Chooses the window among the last two, whose neighbour before is then known. False: `now`
-- lies in neither.
local function placeWindow(now, quota, first, second, third, fourth)
  if now < second or now >= fourth then
    return false
  end
  if now < third then
    quota.previousStart, quota.start, quota.stop = first, second, third
  else
    quota.previousStart, quota.start, quota.stop = second, third, fourth
  end
  return true
end

local function areBounds(start, stop)
  return start >= -MAXIMUM_UNITS and start % 1 == 0 and start < stop and isWhole(stop, MAXIMUM_UNITS)
end
