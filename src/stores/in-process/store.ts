/** Base class of the stores in the memory of this process. A check is one synchronous step, and so atomic. */
import type { BlockLayer } from '../../algorithms/block.ts'
import { decideBlockable } from '../../algorithms/blockable.ts'
import { combineSubjects } from '../../algorithms/combine.ts'
import { type Layer, type Subject, stateNameOf } from '../../algorithms/driver.ts'
import { type Clock, readClock, storeClock } from '../../clock.ts'
import type { Duration } from '../../duration.ts'
import { MismatchedDataError } from '../../errors.ts'
import type { LimitData } from '../../limit-data.ts'
import { type AskedTogether, askTogether, type TogetherAsk } from '../../operations/ask-together.ts'
import { marksOf, reserve, type Spent } from '../../operations/reserve.ts'
import { PermitDesk } from '../../permits/desk.ts'
import type { RateLimitResult } from '../../result.ts'
import { BaseStore } from '../base.ts'
import { BLOCK_STATES, type BlockedKey, blockedKeyOf } from '../blocked.ts'
import type { Asked, SyncDecider } from '../decider.ts'
import { InProcessDecider, numbersIn, type StateTable } from './decider.ts'
import { SingleDecider } from './single-layer.ts'

export abstract class InProcessStore extends BaseStore {
  readonly #clock: Clock

  constructor(clock: Clock | undefined) {
    super()
    this.#clock = clock === undefined ? storeClock(() => this.forgetAll()) : () => readClock(clock)
  }

  /** @internal */
  protected abstract forgetAll(): void

  /** @internal */
  override get isShared(): boolean {
    return false
  }

  /**
   * The table of states of this name. Returns the same table for the same name.
   * @internal
   */
  protected abstract table(name: string): StateTable

  /**
   * All tables, by name.
   * @internal
   */
  protected abstract allTables(): Iterable<readonly [name: string, table: StateTable]>

  /** @internal */
  protected override *blockedKeys(): Generator<BlockedKey> {
    for (const [name, table] of this.allTables()) {
      if (!name.startsWith(BLOCK_STATES)) continue
      for (const [key, state] of table.entries()) {
        const blocked = blockedKeyOf(key, name, numbersIn(state), this.#clock())
        if (blocked !== undefined) yield blocked
      }
    }
  }

  abstract override get(key: string): LimitData | undefined

  abstract override set(key: string, data: LimitData, ttl?: Duration): LimitData

  /** Deletes all records and states. */
  override async reset(): Promise<void> {
    this.forgetAll()
  }

  /** Atomic, because it is one synchronous step. */
  override async compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: Duration,
  ): Promise<LimitData> {
    const actual = this.get(key)
    if (actual === undefined ? old !== undefined : !actual.equals(old)) throw new MismatchedDataError(old, actual)
    return this.set(key, data, ttl)
  }

  override currentTime(): number {
    return this.#clock()
  }

  /**
   * 0, because decisions are synchronous.
   * @internal
   */
  override get answersWithin(): number {
    return 0
  }

  /** @internal */
  protected override makeDesk(): PermitDesk {
    const desk: PermitDesk = new PermitDesk({
      decider: (layers, block) => {
        const made = this.decider(layers, block)
        if (made instanceof InProcessDecider) {
          made.tell = (holder, grants) => {
            if (holder !== desk.holder) return 0
            desk.told(grants)
            return 1
          }
        }
        return made
      },
      lapses: false,
      queues: true,
      openEars: () => ({ sharded: 0, hears: () => true, listen: () => {}, close: () => {} }),
      reserveAll: (asked) => this.reserveAll(asked),
      askTogether: (asked, ask) => this.askTogether(asked, ask),
    })
    return desk
  }

  /** @internal */
  protected override makeDecider(layers: readonly Layer[], block?: BlockLayer): SyncDecider {
    const names = layers.map(stateNameOf)
    const tables = names.map((name) => this.table(name))
    const tableOf = (name: string): StateTable => this.table(name)
    const [layer] = layers
    const [table] = tables
    const blocks = block && { layer: block, table: this.table(block.stateName) }
    const isPlain = layers.length === 1 && layer?.quantity === undefined && block === undefined
    return isPlain && layer !== undefined && table !== undefined
      ? new SingleDecider(this.#clock, layer, table, tableOf)
      : new InProcessDecider(this.#clock, layers, tables, tableOf, blocks)
  }

  /** @internal */
  override async decideAll(asked: readonly Asked[]): Promise<RateLimitResult> {
    return this.#decideTogether(asked).result
  }

  /** @internal */
  override async reserveAll(asked: readonly Asked[]): Promise<Spent> {
    const { result, subjects, now } = this.#decideTogether(asked)
    return reserve.answered(
      result,
      subjects.flatMap((subject) => marksOf(subject, now)),
    )
  }

  /**
   * Asks for several subjects in one step, all or nothing, of which some hold permits.
   * @internal
   */
  async askTogether(asked: readonly Asked[], ask: TogetherAsk): Promise<AskedTogether> {
    const now = this.#clock()
    const opened = asked.map(({ decider, key }) => {
      if (!(decider instanceof InProcessDecider)) throw new TypeError('all throttles must be on one store')
      return { decider, key, found: decider.find(key, true, now) }
    })
    const { changes, answer } = askTogether(
      opened.map(({ found }) => found),
      ask,
      now,
    )
    opened.forEach(({ decider, key, found }, index) => {
      decider.keep(key, found, changes[index] ?? [], now)
    })
    return answer
  }

  #decideTogether(asked: readonly Asked[]): { result: RateLimitResult; subjects: readonly Subject[]; now: number } {
    const now = this.#clock()
    const opened = asked.map(({ decider, key, quantity, terms }) => {
      if (!(decider instanceof InProcessDecider)) throw new TypeError('all throttles must be on one store')
      return { decider, key, subject: decider.open(key, quantity, now, terms) }
    })
    const subjects = opened.map(({ subject }) => subject)
    const { admitted, results } = decideBlockable(subjects, now)
    for (const { decider, key, subject } of opened) {
      if (admitted) decider.write(key, subject, now)
      decider.writeBlock(key, subject.block, now)
    }
    return { result: combineSubjects(results, asked), subjects, now }
  }
}
