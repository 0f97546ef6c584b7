-- Spends `spent` units from a state as read_one.lua leaves it: a part of decide_one.lua and layers.lua. It leaves in `text` what is to be
-- written, and in `expiry` until when that is kept, where it is not as long as it is kept now (`steady`: only these numbers write it).

a, b, c, d = spend(spent, now, quota, a, b, c, d)
text = structPack(format, a, b, c, d)
expiry = expiresAt(quota, a, b, c, d)
if known and steady then
  local kept = expiresAt(quota, w, x, y, z)
  if kept == expiry then
    expiry = nil
  end
end
