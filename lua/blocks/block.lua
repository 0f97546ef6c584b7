-- The block of a key, kept as an algorithm's state. State: all checks are refused until `ends`; `strikes` lock-outs are remembered, of which
-- one is forgotten for each `quota.period`. The last number is always MARK. Lua implementation of src/algorithms/block.ts.

local MARK = -1936746606

local function open()
  return 0, 0, MARK
end

local function roll(now, quota, ends, strikes, mark)
  return ends, strikes, mark
end

local function available(now, quota, ends)
  return ends > now and 0 or 1
end

local function resetAfter(now, quota, ends, strikes)
  return max(0, ends + strikes * quota.period - now)
end

local function valid(quota, ends, strikes, mark)
  return mark == MARK and isWhole(ends, MAXIMUM_UNITS) and isWhole(strikes, MAXIMUM_UNITS)
end

return {
  size = 3,
  open = open,
  roll = roll,
  available = available,
  resetAfter = resetAfter,
  valid = valid,
}
