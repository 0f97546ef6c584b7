-- Writes the states that the requests of a call have changed. A part of batch.lua; comes after load_states.lua.

-- The record of a changed state, and its expiry. '': the state is that of a fresh key, so it needs none.
local function recordOf(state)
  local layer = owner[state]
  local algorithm, quota = counted[layer], quotas[layer]
  local new1, new2, new3, new4 = new1Of[state], new2Of[state], new3Of[state], new4Of[state]
  if not present[state] then
    return '', 0
  end
  local expiry = changed[state] == GIVEN_BACK and kept[state] or expiryOf(algorithm, quota, new1, new2, new3, new4)
  if algorithm.size > 4 then
    return structPack(formatOf[layer], idOf[layer], expiry / 1000, unpack(new1)), expiry
  end
  return structPack(formatOf[layer], idOf[layer], expiry / 1000, new1, new2, new3, new4), expiry
end

local function writeOnly(key, state)
  local text, expiry = recordOf(state)
  if text == '' then
    call('DEL', KEYS[key])
  elseif expiry == kept[state] then
    call('SETRANGE', KEYS[key], '0', text)
  else
    call('SET', KEYS[key], text, 'PXAT', textOf(expiry))
  end
end

local function writeValue(key)
  local state = firstOf[key]
  if not nextOf[state] and (isSole[key] or not values[key]) then
    if changed[state] then
      writeOnly(key, state)
    end
    return
  end
  local ids, texts, latest = {}, {}, 0
  while state do
    if changed[state] then
      local id = idOf[owner[state]]
      local text, expiry = recordOf(state)
      ids[#ids + 1], texts[id] = id, text
      latest = max(latest, expiry)
    end
    state = nextOf[state]
  end
  if ids[1] then
    rewrite(KEYS[key], values[key] or '', ids, texts, latest)
  end
end

local function writeLog(state)
  local algorithm, quota, log = counted[owner[state]], quotas[owner[state]], new1Of[state]
  local key = KEYS[(state - 1) % keyCount + 1]
  if not present[state] then
    call('DEL', key)
    return
  end
  local expiry = changed[state] == SPENT and expiryOf(algorithm, quota, log)
  if expiry == kept[state] then
    expiry = nil
  end
  algorithm.write(key, expiry and textOf(expiry), log)
end
