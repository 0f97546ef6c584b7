-- Reads one state and looks how much is left: a part of decide_one.lua and layers.lua, which say what it finds (`value`, what was
-- read; `now`, `quota`; the algorithm's functions; `format`, `width` and `nothing` for a state of its size). It leaves in `value` what
-- the reply says, in `w` to `z` the state as it was, if it is `known`, in `a` to `d` the state as of now.

local known, w, x, y, z, a, b, c, d
if value and #value == width then
  w, x, y, z = structUnpack(format, value)
  known = valid(quota, w, x, y, z)
end
if known then
  a, b, c, d = roll(now, quota, w, x, y, z)
else
  value = nothing
  a, b, c, d = open(now, quota)
end
local left = available(now, quota, a, b, c, d)
