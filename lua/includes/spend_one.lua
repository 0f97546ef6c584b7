-- Spends `spent` units from the state that read_one.lua has set. Part of decide_one.lua and layered_checks.lua. Sets `text` to the state to
-- write, and `expiry` to its expiry; nil keeps the key's TTL. `fixedQuota`: only a quota of these numbers writes the state.

new1, new2, new3, new4 = spend(spent, now, quota, new1, new2, new3, new4)
text = structPack(format, new1, new2, new3, new4)
expiry = expiresAt(quota, new1, new2, new3, new4)
if known and fixedQuota then
  local kept = expiresAt(quota, old1, old2, old3, old4)
  if kept == expiry then
    expiry = nil
  end
end
