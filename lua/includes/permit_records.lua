-- Defines what tickets.lua does with values that hold other records as well as the header.

--#include records.lua
recordIn = function(value, id)
  local offset = (offsetsIn(value) or {})[id]
  return offset and value:sub(offset, offset + WIDTH - 1)
end

writeAmong = function(key, value, id, text, expiry)
  rewrite(key, value, { id }, { [id] = text }, expiry)
end
