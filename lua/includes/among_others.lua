-- Defines what checks.lua does with values that hold other records as well as those of its throttle. A part of checks.lua.

--#include records.lua
local ids = { id_1 }
local each = width / #ids

-- The records of this throttle in a value, NaN for those that it lacks; and where SETRANGE may write them, if they lie together.
findAmong = function(value)
  local offsets, parts = offsetsIn(value) or {}, {}
  local first = offsets[ids[1]]
  local together = first
  for place = 1, #ids do
    local offset = offsets[ids[place]]
    parts[place] = offset and value:sub(offset, offset + each - 1) or nothing:sub(1, each)
    together = together and offset == first + (place - 1) * each
  end
  if not together then
    return table.concat(parts), nil
  end
  lastLength, lastOffset, lastStart = #value, first, string.format('%.0f', first - 1)
  return table.concat(parts), lastStart
end

writeAmong = function(key, value, text, latest)
  local texts = {}
  for place = 1, #ids do
    texts[ids[place]] = text:sub((place - 1) * each + 1, place * each)
  end
  rewrite(key, value, ids, texts, latest)
end
