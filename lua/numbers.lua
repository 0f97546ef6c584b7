-- What every part of a script needs. Twin of isWhole in src/algorithms/algorithm.ts.

local MAXIMUM_UNITS = 9007199254740991

-- False for NaN.
local function isWhole(value, most)
  return value >= 0 and value <= most and value % 1 == 0
end
