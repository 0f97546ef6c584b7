-- Adds `text`, the new value of `key`, to the group of its expiry, `latest`, to be written by write_groups.lua. Part of checks.lua and
-- subjects.lua.

-- Mostly the values of a call share their expiry.
if latest ~= group.expiry then
  group = groupOf[latest]
  if not group then
    group = { size = 0, expiry = latest, isKept = true }
    groupOf[latest], groups[#groups + 1] = group, group
  end
end
local size = group.size
group[size + 1], group[size + 2] = key, text
group.size = size + 2
