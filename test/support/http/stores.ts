/** The stores that the plugs are tested on, and one that fails. */
import { afterAll, beforeAll } from 'vitest'
import { BaseStore, DictionaryStore, type LimitData, RedisStore } from '../../../src/index.ts'
import { type RedisServer, startRedis } from '../servers/redis.ts'

export const NOON = 1_800_000_000_000_000

/** The clock stands still, so that every header field is known. */
const clock = () => NOON

/** Makes a store with nothing in it. */
export type MakeStore = () => BaseStore

/** An in-process store, and one on a Redis that lives as long as the tests of the calling file. */
export function stillStores(): readonly (readonly [name: string, make: MakeStore])[] {
  let redis: RedisServer
  let made = 0
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())
  return [
    ['DictionaryStore', () => new DictionaryStore({ clock })],
    ['RedisStore', () => new RedisStore({ url: redis.url, prefix: `still-${made++}`, clock })],
  ]
}

/** A custom store whose calls all fail. */
export class BrokenStore extends BaseStore {
  override get(): LimitData {
    throw new Error('the disk is full')
  }

  override set(): LimitData {
    throw new Error('the disk is full')
  }
}

/** A custom store that answers only when the test lets it. */
export class SlowStore extends BaseStore {
  readonly #kept = new Map<string, LimitData>()
  #waiting: (() => void)[] = []
  #slow = true

  constructor() {
    super({ timeout: '10 minutes' })
  }

  /** Checks that wait for an answer. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Answers those that wait, and all later ones at once. */
  letGo(): void {
    this.#slow = false
    for (const answer of this.#waiting.splice(0)) answer()
  }

  override async get(key: string): Promise<LimitData | undefined> {
    if (this.#slow) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.#kept.get(key)
  }

  override set(key: string, data: LimitData): LimitData {
    this.#kept.set(key, data)
    return data
  }
}
