-- Defines checkLog: decides a check on any log. A part of logs.lua.

--#include log.lua
--#include log_answers.lua
local movingWindow = { available = available, resetAfter = resetAfter, retryAfter = retryAfter }
local quota = { limit = limit, period = period }

-- Returns the numbers of the reply.
checkLog = function(key, quantity, count)
  local log = roll(now, quota, read(key))
  local left, admitted = available(now, quota, log), count
  if quantity > 0 and left < quantity * admitted then
    admitted = floor(left / quantity)
  end
  local kept = not log.fresh and shift == 0 and expiresAt(quota, log)
  local spends = quantity * admitted > 0
  if spends then
    log = spend(quantity * admitted, now, quota, log)
  end
  -- Before the log is written, because entries are found by their distance from its end.
  local after, again, following = answersOf(movingWindow, quota, quantity, log)
  if spends then
    local ends = expiresAt(quota, log)
    write(key, ends ~= kept and textOf(ends + shift) or nil, log)
  end
  return left, after, again, following
end
