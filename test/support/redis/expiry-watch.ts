/** Looks at every key of a server, again and again while tests run, for one that would stay for ever. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** A part of the keys: the place to go on from, then the names of those without a TTL. */
const LOOK = `
local part = redis.call('SCAN', ARGV[1], 'COUNT', 500)
local found = { part[1] }
for _, key in ipairs(part[2]) do
  if redis.call('PTTL', key) == -1 then found[#found + 1] = key end
end
return found`

/** Records set by hand are kept for ever unless their owner says otherwise. */
const RECORD = /:data$/

export class ExpiryWatch {
  readonly #client: Redis
  readonly #found = new Set<string>()
  readonly #watching: Promise<void>
  #stopped = false

  constructor(url: string) {
    this.#client = new Redis(url)
    this.#watching = this.#watch()
  }

  /** Looks once more at all that is there; the names of the keys that had no TTL at some moment. */
  async stop(): Promise<string[]> {
    this.#stopped = true
    await this.#watching
    for (let cursor = await this.#look('0'); cursor !== '0'; ) cursor = await this.#look(cursor)
    this.#client.disconnect()
    return [...this.#found]
  }

  async #watch(): Promise<void> {
    for (let cursor = '0'; !this.#stopped; await sleep(5)) cursor = await this.#look(cursor)
  }

  async #look(cursor: string): Promise<string> {
    const reply = await this.#client.eval(LOOK, 0, cursor)
    const [next = '0', ...found] = Array.isArray(reply) ? reply.map(String) : []
    for (const key of found) if (!RECORD.test(key)) this.#found.add(key)
    return next
  }
}
