-- Spends `spent` units from a state as read_one.lua leaves it: a part of decide_one.lua and layered_checks.lua. It leaves in `text` what is to be
-- written, and in `expiry` until when that is kept, where it is not as long as it is kept now (`fixedQuota`: only these numbers write it).

new1, new2, new3, new4 = spend(spent, now, quota, new1, new2, new3, new4)
text = structPack(format, new1, new2, new3, new4)
expiry = expiresAt(quota, new1, new2, new3, new4)
if known and fixedQuota then
  local kept = expiresAt(quota, old1, old2, old3, old4)
  if kept == expiry then
    expiry = nil
  end
end
