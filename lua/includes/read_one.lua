-- Reads one state and looks how much is left: a part of decide_one.lua and layered_checks.lua, which say what it finds (`value`, what was
-- read; `now`, `quota`; the algorithm's functions; `format`, `width` and `nothing` for a state of its size). It leaves in `value` what
-- the reply says, in `old1` to `old4` the state as it was read, if it is `known`, in `new1` to `new4` the state as of now.

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
