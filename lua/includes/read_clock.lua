-- Now in µs, and whether it was passed in (`clock`; below 0: the server's own): a part of batch.lua, checks.lua and layered_checks.lua.

local now, passedIn = clock, true
if clock < 0 then
  local time = call('TIME')
  now, passedIn = time[1] * 1000000 + time[2], false
end
