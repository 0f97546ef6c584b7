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
local text = structPack(format, id_1, until_1, NEW)
--#include into_group.lua
if not isKept then
  group.isKept = false
end
