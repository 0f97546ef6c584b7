-- Unpacks one state and computes the units left. Part of decide_one.lua and layered_checks.lua, which define `value` (the text read), `now`,
-- `quota`, the algorithm's functions, and `format`, `width` and `nothing` for a state of its size. Sets `value` to the text for the reply,
-- `known` to false for a fresh key, `old1` to `old4` to the state read, `new1` to `new4` to the state at `now`, and `left`.

local known, old1, old2, old3, old4, new1, new2, new3, new4
if value and #value == width then
  old1, old2, old3, old4 = structUnpack(format, value)
  known = valid(quota, old1, old2, old3, old4)
end
if known then
  new1, new2, new3, new4 = roll(now, quota, old1, old2, old3, old4)
else
  value = nothing
  new1, new2, new3, new4 = open(now, quota)
end
local left = available(now, quota, new1, new2, new3, new4)
