/** So many units, until the key has been quiet for a whole period: for guessing, where waiting must cost more than trying. */
import { type Algorithm, AlgorithmLimiter, LimitData, type LimiterOptions } from 'onrush'

/** Since when the key has not been quiet, when it was last spent from, and what has been spent since. */
type QuietState = readonly [since: number, last: number, used: number]

export const quietWindow: Algorithm<QuietState> = {
  id: 'quiet',
  size: 3,

  open(now) {
    return [now, now, 0]
  },

  // Where time goes back, nothing has been quiet for any longer.
  roll(state, now, quota) {
    const [, last, used] = state
    return used === 0 || now >= last + quota.periodMicroseconds ? [now, now, 0] : state
  },

  available([, , used], _now, quota) {
    return Math.max(quota.limit - used, 0)
  },

  // A quantity below 0 gives units back, which makes the key no less quiet.
  spend([since, last, used], quantity, now) {
    const left = Math.min(Math.max(used + quantity, 0), Number.MAX_SAFE_INTEGER)
    return [since, quantity > 0 ? Math.max(last, now) : last, left]
  },

  resetAfter([, last, used], now, quota) {
    return used > 0 ? last + quota.periodMicroseconds - now : 0
  },

  retryAfter([, last], _quantity, now, quota) {
    return last + quota.periodMicroseconds - now
  },

  valid(state) {
    return state.every((number) => Number.isSafeInteger(number) && number >= 0)
  },

  toData([since, last, used], _now, quota) {
    return new LimitData({ used, remaining: Math.max(quota.limit - used, 0), createdAt: since, time: last })
  },

  fromData({ used, createdAt, time }) {
    return time === undefined ? undefined : [createdAt, time, used]
  },

  mark([since]) {
    return since
  },

  giveBack(state, quantity, mark, now, quota) {
    return state[0] === mark ? quietWindow.spend(state, -quantity, now, quota) : state
  },
}

/** The same for Redis: the same operations on the same numbers, in the same order. */
export const quietWindowLua = `
local function open(now)
  return now, now, 0
end

local function roll(now, quota, since, last, used)
  if used == 0 or now >= last + quota.period then
    return open(now)
  end
  return since, last, used
end

local function available(now, quota, since, last, used)
  return math.max(quota.limit - used, 0)
end

local function spend(quantity, now, quota, since, last, used)
  if quantity > 0 then
    last = math.max(last, now)
  end
  return since, last, math.min(math.max(used + quantity, 0), MAXIMUM_UNITS)
end

local function resetAfter(now, quota, since, last, used)
  return used > 0 and last + quota.period - now or 0
end

local function giveBack(quantity, mark, now, quota, since, last, used)
  if since ~= mark then
    return since, last, used
  end
  return spend(-quantity, now, quota, since, last, used)
end

local function valid(quota, since, last, used)
  return isWhole(since, MAXIMUM_UNITS) and isWhole(last, MAXIMUM_UNITS) and isWhole(used, MAXIMUM_UNITS)
end

return {
  size = 3, open = open, roll = roll, available = available, spend = spend,
  resetAfter = resetAfter, giveBack = giveBack, valid = valid,
}
`

export class QuietWindowLimiter extends AlgorithmLimiter<QuietState> {
  constructor({ store }: LimiterOptions) {
    super({ store, algorithm: quietWindow, lua: quietWindowLua })
  }
}
