-- Numbers about a log, which is too long to be sent back. A part of batch.lua and logs.lua.

-- As of after a request: resetAfter; retryAfter for the requested quantity (0: it would pass); and nextAfter, the time until one unit more than
-- now is available.
local function answersOf(algorithm, quota, quantity, log)
  local asked, left = max(quantity, 1), algorithm.available(now, quota, log)
  local retryAfter, nextAfter = 0, 0
  if asked <= quota.limit and asked > left then
    retryAfter = algorithm.retryAfter(asked, now, quota, log)
  end
  if left < quota.limit then
    nextAfter = asked == left + 1 and retryAfter or algorithm.retryAfter(left + 1, now, quota, log)
  end
  return algorithm.resetAfter(now, quota, log), retryAfter, nextAfter
end
