/** Looks at the servers every 10 ms: the header must equal the set, no permit may idle beside a waiter, and no key may be without a TTL. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { HEADER_NUMBERS } from '../../src/algorithms/concurrency.ts'
import { readRecords } from '../../src/redis/call/state-records.ts'
import type { Settings } from './settings.ts'

/** Everything in one step: the time, and each key with its TTL, the members of a set of tickets, and the value that holds the headers. */
const SNAPSHOT = `
if redis.call('ROLE')[1] ~= 'master' then return {} end
local out = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key).ok
  local isTickets = kind == 'zset' and key:sub(-4) == ':set'
  local members = isTickets and redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') or {}
  out[#out + 1] = { key, redis.call('PTTL', key), isTickets and 1 or 0, members, kind == 'string' and redis.call('GET', key) or '' }
end
local time = redis.call('TIME')
return { time[1], time[2], out }`

interface SnapshotSettings extends Pick<Settings, 'count' | 'lease'> {
  readonly prefix: string
}

export class Snapshots {
  readonly #clients: readonly Redis[]
  readonly #settings: SnapshotSettings
  readonly #violations = new Set<string>()
  readonly #lastTokens = new Map<string, number>()
  #running = false
  #done: Promise<void> = Promise.resolve()

  /** Until when the server holds something for a process at most, by the name of the process. µs. */
  readonly heldUntil = new Map<number, number>()

  /** @param clients of all servers, of which only masters are looked at */
  constructor(clients: readonly Redis[], settings: SnapshotSettings) {
    this.#clients = clients
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
      await Promise.all(this.#clients.map((client) => this.#look(client).catch(() => {})))
      await sleep(10)
    }
  }

  /** The header counts what the set holds, and its last token never falls while it lives. */
  #compare(server: string, name: string, header: readonly number[] | undefined, held: number, waiting: number): void {
    if (header === undefined) {
      this.#violations.add(`${name} has no header`)
      return
    }
    const [last = 0, used, waits] = header
    if (used !== held || waits !== waiting) {
      this.#violations.add(
        `the header of ${name} counts ${used} held and ${waits} waiting, its set ${held} and ${waiting}`,
      )
    }
    // Of the same server, because a replica that takes over may have missed some.
    const place = `${server} ${name}`
    if (last < (this.#lastTokens.get(place) ?? 0)) this.#violations.add(`the last token of ${name} fell`)
    this.#lastTokens.set(place, last)
  }

  async #look(client: Redis): Promise<void> {
    const { prefix, count, lease } = this.#settings
    const reply: unknown = await client.callBuffer('EVAL', SNAPSHOT, '0', `${prefix}:*`)
    if (!Array.isArray(reply) || reply.length === 0) return
    const [seconds, micros, keys] = reply
    const now = Number(seconds) * 1_000_000 + Number(micros)
    const headers = headersIn(keys)
    for (const [name, ttl, isTickets, members] of keys) {
      if (Number(ttl) < 0) this.#violations.add(`${name} has no TTL`)
      if (Number(isTickets) !== 1) continue
      let held = 0
      let waiting = 0
      let free = count
      let firstWaits = false
      for (let at = 0; at + 1 < members.length; at += 2) {
        const score = Number(members[at + 1])
        const serial = members[at].readDoubleBE(8)
        const quantity = members[at].readDoubleBE(16)
        if (score < 0 && at === 0) firstWaits = quantity <= count
        if (serial === 0) continue
        if (score < 0) {
          waiting++
          continue
        }
        if (score > now + lease * 1000) this.#violations.add(`a ticket of ${name} is held for longer than a lease`)
        const holder = members[at].readDoubleBE(0)
        this.heldUntil.set(holder, Math.max(score, this.heldUntil.get(holder) ?? 0))
        held += quantity
        free -= quantity
      }
      if (held > count) this.#violations.add(`${held} units of ${name} are held of ${count}`)
      this.#compare(String(client.options.port), String(name), headers.get(valueKeyOf(String(name))), held, waiting)
      if (firstWaits && members.length > 0 && free >= members[0].readDoubleBE(16) && !hasLapsed(members, now))
        this.#violations.add(`a permit of ${name} is idle while somebody waits for it`)
    }
  }
}

/** The key of the value that holds the header of a set of tickets. */
function valueKeyOf(name: string): string {
  return name.slice(0, name.indexOf('}') + 1)
}

/** The headers of permits by the keys of their values. */
function headersIn(
  keys: readonly (readonly [Buffer, number, number, Buffer[], Buffer])[],
): Map<string, readonly number[]> {
  return new Map(
    keys.flatMap(([name, , , , value]) => {
      const header = readRecords(value)?.find(({ numbers }) => numbers.length === HEADER_NUMBERS)
      return header === undefined ? [] : [[String(name), header.numbers] as const]
    }),
  )
}

/** True if a member has lapsed and nobody has asked since, so that the set speaks of the past. */
function hasLapsed(members: readonly Buffer[], now: number): boolean {
  for (let at = 1; at < members.length; at += 2) {
    const score = Number(members[at])
    if (score > 0 && score <= now) return true
  }
  return false
}
