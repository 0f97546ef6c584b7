-- Sets `now` (µs): from `clock`, or from the server's clock if `clock` is below 0. Sets `serverNow`, and `shift`, which added to a time of
-- `now` makes a time of the server's clock, in whole milliseconds where the time is. Part of batch.lua and checks.lua.

-- How much longer states are kept if the time was passed in, in µs, because a user's clock may not run as the server's does.
local ALLOWANCE = 3600000000

local time = call('TIME')
local serverNow = time[1] * 1000000 + time[2]
local now, shift = serverNow, 0
if clock >= 0 then
  now, shift = clock, serverNow - clock + ALLOWANCE
  shift = shift + -shift % 1000
end
