-- Adds the new value of a key to the group of its expiry, to be written by write_groups.lua. Part of checks.lua, for values without other
-- records.

local latest = 0
--#each
if not (expiry_1 < LATEST_EXPIRY) then
  expiry_1 = LATEST_EXPIRY
end
until_1 = expiry_1 / 1000
if expiry_1 > latest then
  latest = expiry_1
end
--#end
-- Mostly the values of a call share their expiry.
if latest ~= group.expiry then
  group = groupOf[latest]
  if not group then
    group = { size = 0, expiry = latest, isKept = true }
    groupOf[latest], groups[#groups + 1] = group, group
  end
end
local size = group.size
group[size + 1], group[size + 2] = key, structPack(format, id_1, until_1, NEW)
group.size = size + 2
if not isKept then
  group.isKept = false
end
