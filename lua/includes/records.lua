-- The value of a key: records, one after another, each of two little-endian integers of six bytes, the id and `kept until`, and the numbers of
-- one state as doubles. The id tells which state it is (src/redis/call/state-records.ts), and in its lowest four bits how many numbers the
-- state has. `kept until` is a time of the server's clock in ms, LATEST_EXPIRY at most: from then on the record counts as none, and a write leaves it out that comes STALE later or more. The latest of a value is its key's expiry. Read also by src/redis/call/state-records.ts.

local HEADER, LATEST_KEPT = 12, LATEST_EXPIRY / 1000
-- For how long a record stays that has expired, in µs, because its owner mostly writes it again: a record that is left out and added anew costs
-- two writes of the whole value.
local STALE = 60000000

-- Where each record of a value begins, by id. nil for a damaged value, which counts as none.
local function offsetsIn(value)
  local offsets, at, length = {}, 1, #value
  while at <= length do
    if length - at < HEADER + 7 then
      return nil
    end
    local id, kept = structUnpack('<I6I6', value, at)
    local size = id % 16
    if size == 0 or kept > LATEST_KEPT then
      return nil
    end
    offsets[id] = offsets[id] or at
    at = at + HEADER + 8 * size
  end
  return at == length + 1 and offsets or nil
end

-- Writes the records of `texts` (by id; '': none) into the value of a key, in place of those that the value has, or behind them in the order
-- of `ids`. Leaves out all other records that have long expired. `latest` is the latest expiry of these records.
local function rewrite(key, value, ids, texts, latest)
  local parts, placed, before = {}, {}, 0
  local length = offsetsIn(value) and #value or 0
  local at = 1
  while at <= length do
    local id, kept = structUnpack('<I6I6', value, at)
    kept = kept * 1000
    local following = at + HEADER + 8 * (id % 16)
    before = max(before, kept)
    if texts[id] then
      parts[#parts + 1] = not placed[id] and texts[id] or ''
      placed[id] = true
    elseif kept > serverNow - STALE then
      parts[#parts + 1] = value:sub(at, following - 1)
      latest = max(latest, kept)
    end
    at = following
  end
  for place = 1, #ids do
    local id = ids[place]
    parts[#parts + 1] = not placed[id] and texts[id] or ''
    placed[id] = true
  end
  local text = table.concat(parts)
  if latest <= serverNow then
    call('DEL', key)
  elseif latest ~= before then
    call('SET', key, text, 'PXAT', textOf(latest))
  elseif #text == #value then
    -- SETRANGE keeps the TTL, and costs less than half as much as SET.
    call('SETRANGE', key, '0', text)
  else
    call('SET', key, text, 'KEEPTTL')
  end
end
