-- Writes the state `text` to `key`, to expire at `expiry`; nil keeps the key's TTL. Part of batch.lua, checks.lua and layered_checks.lua.

if expiry then
  call('SET', key, text, passedIn and 'PX' or 'PXAT', textOf(expiry, now, passedIn))
else
  -- SETRANGE keeps the TTL, and costs less than half as much as SET.
  call('SETRANGE', key, '0', text)
end
