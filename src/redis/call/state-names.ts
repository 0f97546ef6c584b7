/**
 * Notes in Redis which state each id stands for, so that people and tools can read the values of keys. No decision depends on these names:
 * they are sent apart from the calls that decide, nobody waits for them, and losing them loses only words.
 */
import calculateSlot from 'cluster-key-slot'
import { stateNameOf } from '../../algorithms/driver.ts'
import type { RedisConnection } from '../clients/client.ts'
import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import type { CompiledLayers } from './layers.ts'
import * as lua from './lua.generated.ts'
import { ask, runText } from './run-script.ts'
import { script } from './scripts.ts'

const NOTE_NAMES = script(lua.noteNames)

/** The most states whose names are noted. */
const MOST_NAMES = '10000'

/** In ms: the names live for a week after a process has last used a throttle, and each process notes them again every hour. */
const TIME_TO_LIVE = String(7 * 86_400_000)
const NOTED_AGAIN = 3_600_000

export class StateNames {
  readonly #connection: RedisConnection
  readonly #name: string
  /** ms, added to the steady clock of the process: a reset raises the offset, so that all names are due again. */
  ahead = 0

  constructor(connection: RedisConnection, names: KeyNames) {
    this.#connection = connection
    this.#name = names.ofStates
  }

  /** Notes the names of states that the batch has written, if they are due. */
  note({ entries, askedAt }: Batch): void {
    for (const entry of entries) {
      // An operation on a block has a quantity of 0 too.
      if ((entry.quantity === 0 && entry.decider.block === undefined) || entry.refused !== undefined) continue
      for (const { decider } of entry.all()) this.#noteThrottle(decider, askedAt + this.ahead)
    }
  }

  /** Makes all names due, because a reset has deleted them. */
  forget(): void {
    this.ahead += NOTED_AGAIN
  }

  #noteThrottle(decider: CompiledLayers, now: number): void {
    if (decider.namesDueAt > now) return
    decider.namesDueAt = now + NOTED_AGAIN
    const texts = decider.states.flatMap(({ layer, numbers: [id], size }) =>
      size > 0 ? [String(id), `${stateNameOf(layer)} ${layer.quota}`] : [],
    )
    if (texts.length === 0) return
    const connection = this.#connection
    const node = connection.cluster ? connection.nodeOf(calculateSlot(this.#name)) : ''
    ask(connection, node, NOTE_NAMES, [this.#name], [TIME_TO_LIVE, MOST_NAMES, ...texts], runText).catch(() => {})
  }
}
