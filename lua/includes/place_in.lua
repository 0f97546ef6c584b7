-- Finds a record in a value without a table. A part of subjects.lua and among_others.lua; comes after records.lua.

-- The lengths of values that were searched and found whole. Values of one length are mostly made up of the same records, in whatever order
-- these were added.
local isWholeLength = {}

-- Where the record of an id begins, if there is room for `width` bytes; nil: nowhere. Looks only at the ids before it, so nothing tells whether
-- the rest of the value is damaged.
local function placeIn(value, id, width)
  local at, last = 1, #value - width + 1
  while at <= last do
    local other = structUnpack('<I6', value, at)
    if other == id then
      return at
    end
    at = at + HEADER + 8 * (other % 16)
  end
  return nil
end
