/** Looks at the server every 10 ms: the header must equal the set, and no key may be without a TTL. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Settings } from './settings.ts'

/** Everything of one key in one step: its time, and each key with its TTL, and the members of sets. */
const SNAPSHOT = `
local out = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key).ok
  local members = kind == 'zset' and redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') or {}
  out[#out + 1] = { key, redis.call('PTTL', key), kind, members }
end
local time = redis.call('TIME')
return { time[1], time[2], out }`

export class Snapshots {
  readonly #client: Redis
  readonly #settings: Settings
  readonly #violations = new Set<string>()
  #running = false
  #done: Promise<void> = Promise.resolve()

  constructor(client: Redis, settings: Settings) {
    this.#client = client
    this.#settings = settings
  }

  start(): void {
    this.#running = true
    this.#done = this.#run()
  }

  async stop(): Promise<readonly string[]> {
    this.#running = false
    await this.#done
    return [...this.#violations].slice(0, 10)
  }

  async #run(): Promise<void> {
    while (this.#running) {
      await this.#look().catch(() => {})
      await sleep(10)
    }
  }

  async #look(): Promise<void> {
    const { prefix, count, lease } = this.#settings
    const reply: unknown = await this.#client.callBuffer('EVAL', SNAPSHOT, '0', `${prefix}:*`)
    if (!Array.isArray(reply)) return
    const [seconds, micros, keys] = reply
    const now = Number(seconds) * 1_000_000 + Number(micros)
    for (const [name, ttl, kind, members] of keys) {
      if (Number(ttl) < 0) this.#violations.add(`${name} has no TTL`)
      if (String(kind) !== 'zset') continue
      let held = 0
      let free = count
      let firstWaits = false
      for (let at = 0; at + 1 < members.length; at += 2) {
        const score = Number(members[at + 1])
        const serial = members[at].readDoubleBE(8)
        const quantity = members[at].readDoubleBE(16)
        if (score < 0 && at === 0) firstWaits = quantity <= count
        if (serial === 0 || score < 0) continue
        if (score > now + lease * 1000) this.#violations.add(`a ticket of ${name} is held for longer than a lease`)
        held += quantity
        free -= quantity
      }
      if (held > count) this.#violations.add(`${held} units of ${name} are held of ${count}`)
      if (firstWaits && members.length > 0 && free >= members[0].readDoubleBE(16) && !hasLapsed(members, now))
        this.#violations.add(`a permit of ${name} is idle while somebody waits for it`)
    }
  }
}

/** True if a member has lapsed and nobody has asked since, so that the set speaks of the past. */
function hasLapsed(members: readonly Buffer[], now: number): boolean {
  for (let at = 1; at < members.length; at += 2) {
    const score = Number(members[at])
    if (score > 0 && score <= now) return true
  }
  return false
}
