/** The cost of Redis and its client alone: baselines, not limiters that anyone should use. */
import { createHash } from 'node:crypto'
import type { Contestant, Setting } from '../harness/contestant.ts'
import { connect, disconnect } from './connection.ts'

/** GCRA with one double per key, the theoretical arrival time in µs. ARGV: the interval between units in µs, the limit, the quantity. */
const GCRA = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + interval * ARGV[3]
local wait = arrival - interval * ARGV[2] - now
if wait > 0 then
  return { 1, 0, wait, arrival - now }
end
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
return { 0, math.floor(-wait / interval), 0, arrival - now }
`

/** The cheapest possible counter, which never expires and never refuses. */
export async function openIncrement(setting: Setting, enableAutoPipelining = false): Promise<Contestant> {
  const client = await connect(setting, { enableAutoPipelining })
  return {
    check: (key) => client.incr(key),
    admits: async (key, quantity = 1) => (await client.incrby(key, quantity)) <= setting.limit,
    [Symbol.asyncDispose]: () => disconnect(client),
  }
}

/** One EVALSHA per check. */
export async function openScript(setting: Setting): Promise<Contestant> {
  const client = await connect(setting)
  await client.script('LOAD', GCRA)
  const digest = createHash('sha1').update(GCRA).digest('hex')
  const interval = (setting.period * 1000) / setting.limit
  const { limit } = setting
  return {
    check: (key) => client.evalsha(digest, 1, key, interval, limit, 1),
    async admits(key, quantity = 1) {
      const reply = await client.evalsha(digest, 1, key, interval, limit, quantity)
      return Array.isArray(reply) && reply[0] === 0
    },
    [Symbol.asyncDispose]: () => disconnect(client),
  }
}

/** A moving window as it is mostly written by hand: a sorted set with a member for each admitted unit. ARGV: the window in µs, the limit, a text. */
const SORTED_SET = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
local used = redis.call('ZCARD', KEYS[1])
if used >= tonumber(ARGV[2]) then
  return { 1, 0 }
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[1] / 1000))
return { 0, ARGV[2] - used - 1 }
`

export async function openSortedSet(setting: Setting): Promise<Contestant> {
  const client = await connect(setting)
  await client.script('LOAD', SORTED_SET)
  const digest = createHash('sha1').update(SORTED_SET).digest('hex')
  const { limit, period } = setting
  let unit = 0
  const check = (key: string) => client.evalsha(digest, 1, key, period * 1000, limit, `${process.pid} ${unit++}`)
  return {
    check,
    async admits(key, quantity = 1) {
      if (quantity !== 1) return undefined
      const reply = await check(key)
      return Array.isArray(reply) && reply[0] === 0
    },
    [Symbol.asyncDispose]: () => disconnect(client),
  }
}

/** Does nothing, which shows the cost of the harness. */
export async function openNothing(): Promise<Contestant> {
  return {
    check: () => Promise.resolve(),
    admits: async () => true,
    [Symbol.asyncDispose]: async () => {},
  }
}
