-- Defines textOf: the text of an expiry (µs since the epoch) for a command, in ms. Formatted here, because Redis would write some whole numbers
-- with an exponent. The last text is cached, because the keys of a call mostly share their expiry. A part of batch.lua and checks.lua.

textOf = function(expiry)
  if expiry ~= lastExpiry then
    lastExpiry = expiry
    lastText = string.format('%.0f', ceil(min(expiry, LATEST_EXPIRY) / 1000))
  end
  return lastText
end
