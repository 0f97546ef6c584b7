-- Writes the state `text` under `key`, to be kept until `expiry`; nil: as long as it is kept now. A part of batch.lua, checks.lua and layered_checks.lua.

if expiry then
  call('SET', key, text, passedIn and 'PX' or 'PXAT', textOf(expiry, now, passedIn))
else
  -- Keeps the TTL, at less than half the price of SET.
  call('SETRANGE', key, '0', text)
end
