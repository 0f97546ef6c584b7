/** The policies whose states a store holds: noted by the processes that use them, given by `--rate`, or read from the names of states. */
import type { CompleteAlgorithm } from '../../algorithms/algorithm.ts'
import { type Layer, stateNameOf } from '../../algorithms/driver.ts'
import { BUILT_IN, calendarAlgorithmOf } from '../../algorithms/index.ts'
import { Quota } from '../../quota.ts'
import { quotasIn } from '../../rate.ts'
import { stateId } from '../../redis/call/state-records.ts'
import { UsageError } from '../exit-codes.ts'
import type { LiveStore } from './connection.ts'

/** The name of a state and, where known, the layer that it belongs to. */
export interface Policy {
  /** `<algorithm>:<state name>`. */
  readonly name: string
  readonly layer: Layer | undefined
}

const ALGORITHMS: readonly CompleteAlgorithm[] = Object.values<CompleteAlgorithm>(BUILT_IN).flatMap((algorithm) => {
  const calendar = calendarAlgorithmOf(algorithm)
  return calendar === undefined ? [algorithm] : [algorithm, calendar]
})

export class Policies {
  readonly #byId = new Map<number, Policy>()
  readonly #byName = new Map<string, Policy>()

  /** @throws UsageError for a rate that cannot be read */
  static async of(live: LiveStore, rates: readonly string[]): Promise<Policies> {
    const policies = new Policies()
    const noted = await live.ofItsType('ZRANGE', [live.names.ofStates, '0', '-1', 'WITHSCORES'])
    const texts = Array.isArray(noted) ? noted.flat().map(String) : []
    for (let at = 0; at + 1 < texts.length; at += 2) policies.#note(Number(texts[at + 1]), texts[at] ?? '')
    for (const rate of rates) for (const quota of [quotasOf(rate)].flat()) policies.#give(quota)
    return policies
  }

  /** The names of all policies that are noted or given. */
  names(): Iterable<string> {
    return this.#byName.keys()
  }

  ofId(id: number): Policy | undefined {
    return this.#byId.get(id)
  }

  /** The policy of a state's name, such as `moving_window:100-1m`, whose numbers the name may tell. */
  ofName(name: string): Policy {
    return this.#byName.get(name) ?? { name, layer: layerNamed(name) }
  }

  /** @param text `<algorithm>:<state name> <quota>` */
  #note(id: number, text: string): void {
    const at = text.indexOf(' ')
    const name = at < 0 ? text : text.slice(0, at)
    const policy = { name, layer: at < 0 ? layerNamed(name) : layerOf(name, text.slice(at + 1)) }
    this.#byId.set(id, policy)
    this.#byName.set(name, policy)
  }

  #give(quota: Quota): void {
    for (const algorithm of ALGORITHMS) {
      const layer = { algorithm, quota }
      const name = stateNameOf(layer)
      this.#byName.set(name, { name, layer })
      if (algorithm.size > 0) this.#byId.set(stateId(name, algorithm.size), { name, layer })
    }
  }
}

function quotasOf(rate: string): Quota | readonly Quota[] {
  try {
    return quotasIn(rate)
  } catch (error) {
    throw new UsageError(`--rate: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function layerOf(name: string, quota: string): Layer | undefined {
  const algorithm = ALGORITHMS.find(({ id }) => name.startsWith(`${id}:`))
  try {
    return algorithm && { algorithm, quota: Quota.parse(quota) }
  } catch {
    return undefined
  }
}

/** A default name tells the numbers: `gcra:100b20-1m`. */
function layerNamed(name: string): Layer | undefined {
  const [, count, burst = '0', period] = /:(\d+)(?:b(\d+))?-(\d+\w+)$/.exec(name) ?? []
  return count === undefined ? undefined : layerOf(name, `${count} per ${period} burst ${burst}`)
}
