-- Decides `count` identical checks of one layer on one key. Part of decide_each.lua and checks.lua, which define the variables that
-- read_one.lua and spend_one.lua use. Sets `text` to the state to write; nil: nothing to write.

--#include read_one.lua
local text, expiry
if quantity > 0 and quantity <= left then
  local spent = quantity * count
  if spent > left then
    spent = left - left % quantity
  end
  --#include spend_one.lua
end
