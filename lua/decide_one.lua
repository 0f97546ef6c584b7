-- Decides `count` equal checks of one layer on one key: a part of decide_each.lua and each.lua, which say what it finds (`value`, what
-- was read; `now`, `quota`, `quantity`, `count`; whether only these numbers write the state, `steady`; the algorithm's functions; `format`,
-- `width` and `nothing` for a state of its size). It leaves in `value` what the reply says, in `text` what is to be written, if anything,
-- and in `expiry` until when that is kept, where it is not as long as it is kept now.

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
local text, expiry
if quantity > 0 and quantity <= left then
  local spent = quantity * count
  if spent > left then
    spent = left - left % quantity
  end
  a, b, c, d = spend(spent, now, quota, a, b, c, d)
  text = structPack(format, a, b, c, d)
  expiry = expiresAt(quota, a, b, c, d)
  if known and steady then
    local kept = expiresAt(quota, w, x, y, z)
    if kept == expiry then
      expiry = nil
    end
  end
end
