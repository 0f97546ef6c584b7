-- Defines what checks.lua does with values that hold other records as well as those of its throttle. A part of checks.lua.

--#include records.lua
--#include place_in.lua
local ids = { id_1 }
local each = width / #ids

-- Where the records of this throttle lie together in a value, and the latest expiry of the others, infinite if one of them has long expired.
-- nil: they do not lie together, or the value is damaged.
local function offsetIn(value)
  local at, length, offset, others = 1, #value, nil, 0
  while at <= length do
    if length - at < HEADER + 7 then
      return nil
    end
    local id, kept = structUnpack('<I6I6', value, at)
    local size = id % 16
    if size == 0 or kept > LATEST_KEPT then
      return nil
    end
    kept = kept * 1000
    if id == ids[1] and not offset and at + width - 1 <= length then
      offset = at
      for place = 2, #ids do
        local following, expiry = structUnpack('<I6I6', value, at + (place - 1) * each)
        if following ~= ids[place] or expiry > LATEST_KEPT then
          return nil
        end
      end
      at = at + width
    else
      if kept <= serverNow - STALE then
        others = 1 / 0
      elseif kept > others then
        others = kept
      end
      at = at + HEADER + 8 * size
    end
  end
  if at == length + 1 and offset then
    return offset, others
  end
  return nil
end

-- As offsetIn, but looks only for the records of this throttle.
local function togetherIn(value)
  local at = placeIn(value, ids[1], width)
  for place = 2, at and #ids or 0 do
    if structUnpack('<I6', value, at + (place - 1) * each) ~= ids[place] then
      return nil
    end
  end
  return at
end

idText, startsOf, find, sub = structPack('<I6', ids[1]), {}, string.find, string.sub

-- The records of this throttle in a value, NaN for those that it lacks; and where SETRANGE may write them, if they lie together.
findAmong = function(value)
  local offset = isWholeLength[#value] and togetherIn(value) or offsetIn(value)
  if offset then
    isWholeLength[#value] = true
    local starts = startsOf[#value] or {}
    startsOf[#value] = starts
    local start = starts[offset] or string.format('%.0f', offset - 1 + CHANGED_START)
    starts[offset] = start
    return value:sub(offset, offset + width - 1), start
  end
  local offsets, parts = offsetsIn(value) or {}, {}
  for place = 1, #ids do
    local at = offsets[ids[place]]
    parts[place] = at and value:sub(at, at + each - 1) or nothing:sub(1, each)
  end
  return table.concat(parts), nil
end

-- Writes the new records, whose latest expiry is `latest`, and was `before`.
writeAmong = function(key, value, text, latest, before)
  local offset, others = offsetIn(value)
  if offset and others < 1 / 0 then
    if others >= latest and others >= before then
      call('SETRANGE', key, string.format('%.0f', offset - 1), text)
      return
    end
    local whole = value:sub(1, offset - 1) .. text .. value:sub(offset + width)
    call('SET', key, whole, 'PXAT', textOf(others > latest and others or latest))
    return
  end
  local texts = {}
  for place = 1, #ids do
    texts[ids[place]] = text:sub((place - 1) * each + 1, place * each)
  end
  rewrite(key, value, ids, texts, latest)
end
