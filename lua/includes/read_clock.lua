-- Sets `now` (µs) and `passedIn`: from `clock`, or from the server's clock if `clock` is below 0. Part of batch.lua, checks.lua and
-- layered_checks.lua.

local now, passedIn = clock, true
if clock < 0 then
  local time = call('TIME')
  now, passedIn = time[1] * 1000000 + time[2], false
end
