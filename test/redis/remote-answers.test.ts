/** A state that is no tuple stays in Redis, and is answered by as many numbers as its algorithm needs. */
import { DictionaryStore, Quota } from 'onrush'
import { expect, test } from 'vitest'
import type { CompleteAlgorithm } from '../../src/algorithms/algorithm.ts'
import { adjust } from '../../src/operations/adjust.ts'
import { clear } from '../../src/operations/clear.ts'
import { reserve } from '../../src/operations/reserve.ts'
import type { Decider } from '../../src/stores/decider.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

/** Units of a window that starts with the first, kept as a text. */
interface Tally {
  start: number
  used: number
}

const tally: CompleteAlgorithm<Tally> = {
  id: 'tally',
  size: 0,
  open: (now) => ({ start: now, used: 0 }),
  roll: (state, now, quota) =>
    state.used === 0 || now >= state.start + quota.periodMicroseconds ? { start: now, used: 0 } : state,
  available: ({ used }, _now, quota) => Math.max(quota.limit - used, 0),
  spend: ({ start, used }, quantity) => ({ start, used: Math.max(used + quantity, 0) }),
  resetAfter: ({ start, used }, now, quota) => (used > 0 ? start + quota.periodMicroseconds - now : 0),
  retryAfter: ({ start }, _quantity, now, quota) => start + quota.periodMicroseconds - now,
  valid: () => true,
  toData: () => {
    throw new TypeError('no record is made of a tally')
  },
  fromData: () => undefined,
  mark: ({ start }) => start,
  giveBack: (state, quantity, mark, now, quota) =>
    state.start === mark ? tally.spend(state, -quantity, now, quota) : state,
}

/** The two numbers that `answers` gives: units available, and µs until the window ends. */
const remote: CompleteAlgorithm<readonly [available: number, resetAfter: number]> = {
  id: tally.id,
  size: 2,
  open: (_now, quota) => [quota.limit, 0],
  roll: (state) => state,
  available: ([available]) => available,
  spend: ([available, resetAfter], quantity) => [available - Math.max(quantity, 0), resetAfter],
  resetAfter: ([, resetAfter]) => resetAfter,
  retryAfter: ([, resetAfter]) => resetAfter,
  valid: () => true,
  toData: (_state, now, quota) => tally.toData(tally.open(now, quota), now, quota),
  fromData: () => undefined,
  mark: ([, resetAfter], now, quota) => now + resetAfter - quota.periodMicroseconds,
  giveBack: (state) => state,
}

const LUA = `
local function open(now)
  return { start = now, used = 0, fresh = true }
end
local function resetAfter(now, quota, tally)
  return tally.used > 0 and tally.start + quota.period - now or 0
end
local function available(now, quota, tally)
  return math.max(quota.limit - tally.used, 0)
end
local function spend(quantity, now, quota, tally)
  tally.used = math.max(tally.used + quantity, 0)
  return tally
end
return {
  size = 0, open = open, available = available, spend = spend, resetAfter = resetAfter,
  roll = function(now, quota, tally)
    return (tally.used == 0 or now >= tally.start + quota.period) and open(now) or tally
  end,
  giveBack = function(quantity, mark, now, quota, tally)
    return tally.start == mark and spend(-quantity, now, quota, tally) or tally
  end,
  answers = function(quantity, available, now, quota, tally)
    return available, resetAfter(now, quota, tally)
  end,
  read = function(key)
    local text = redis.call('GET', key)
    if not text then
      return open(0)
    end
    local start, used = text:match('(%d+) (%d+)')
    return { start = tonumber(start), used = tonumber(used) }
  end,
  write = function(key, expiry, tally)
    local text = string.format('%.0f %.0f', tally.start, tally.used)
    if expiry then
      redis.call('SET', key, text, 'PXAT', expiry)
    else
      redis.call('SET', key, text, 'KEEPTTL')
    end
  end,
}
`

test('checks and operations on it are answered as in this process, by two numbers a layer', async () => {
  let now = 1_800_000_000_000_000
  const clock = () => now
  const [quota, wide] = [Quota.perSecond(10), Quota.perMinute(15)]
  const algorithm: CompleteAlgorithm = { ...tally, remote }
  const layers = [quota, wide].map((each) => ({ algorithm, quota: each, lua: LUA }))
  const [there, here] = [suite.store({ clock }), new DictionaryStore({ clock })].map((store) => store.decider(layers))
  if (there === undefined || here === undefined) throw new Error('two stores')
  const both = async <T>(ask: (decider: Decider) => Promise<T>): Promise<readonly [T, T]> => {
    const answers = [await ask(there), await ask(here)] as const
    expect(answers[0]).toStrictEqual(answers[1])
    return answers
  }
  for (const quantity of [4, 4, 4, 0]) await both((decider) => decider.check('key', quantity))
  now += 250_000
  const [far, near] = await both((decider) => decider.operate('key', reserve, { quantity: 2 }))
  const settle = (decider: Decider) =>
    decider.operate('key', adjust, { change: -1, spent: decider === there ? far : near })
  await both(settle)
  await both((decider) => decider.operate('key', adjust, { change: -3 }))
  await both((decider) => decider.operate('key', adjust, { change: 20 }))
  await both((decider) => decider.check('key', 1))
  now += 1_000_000
  await both((decider) => decider.check('key', 1))
  await both((decider) => decider.operate('key', clear, undefined))
  await both((decider) => decider.check('key', 10))
  // Merged with each other, and followed by a check that reads the state behind them.
  const asked = await Promise.all([there.check('other', 3), there.check('other', 3), there.check('else', 2)])
  expect(asked.map(({ remaining }) => remaining)).toEqual([7, 4, 8])
})
