-- Decides `count` equal checks of one layer on one key: a part of decide_each.lua and checks.lua, which say what read_one.lua and
-- spend_one.lua find. It leaves in `text` what is to be written, if anything.

--#include read_one.lua
local text, expiry
if quantity > 0 and quantity <= left then
  local spent = quantity * count
  if spent > left then
    spent = left - left % quantity
  end
  --#include spend_one.lua
end
