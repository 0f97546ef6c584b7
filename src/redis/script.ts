/** Scripts, put together from the driver and just the algorithms that a call needs, and run by EVALSHA through one path. */
import { createHash } from 'node:crypto'
import type { Layer } from '../algorithms/driver.ts'
import { scripts } from '../events.ts'
import type { RedisConnection } from './connection.ts'
import * as lua from './lua.generated.ts'

export interface Script {
  readonly source: string
  readonly sha1: string
}

/** The twins of our algorithms, by id. */
const TWINS: ReadonlyMap<string, string> = new Map([
  ['gcra', lua.gcra],
  ['periodic', `${lua.periodic}\n${lua.window}`],
  ['fixed', `${lua.fixedWindow}\n${lua.window}`],
  ['moving', lua.movingWindow],
  ['sliding', lua.slidingWindowCounter],
])

const composed = new Map<string, Script>()

/**
 * The Lua twin of a layer's algorithm.
 * @throws TypeError where it has none.
 */
export function twinOf({ algorithm, lua: own }: Layer): string {
  const twin = TWINS.get(algorithm.id) ?? own
  if (twin === undefined) {
    throw new TypeError(
      `the algorithm '${algorithm.id}' has no Lua twin: give AlgorithmLimiter its text as \`lua\` to use RedisStore`,
    )
  }
  return twin
}

/** The script that decides by these twins, in their order. */
export function scriptOf(twins: readonly string[]): Script {
  const name = twins.join('\0')
  const ready = composed.get(name)
  if (ready !== undefined) return ready
  const algorithms = twins.map((twin) => `(function()\n${twin}\nend)()`).join(',\n')
  const made = script(`${lua.numbers}\nlocal algorithms = {\n${algorithms}\n}\n${lua.driver}`)
  composed.set(name, made)
  return made
}

export function script(source: string): Script {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

/**
 * Runs a script. A node that does not know it yet (restart, flush, failover, a new node) answers NOSCRIPT before it has done
 * anything; EVAL then loads and runs it in one step, so nothing is lost or done twice.
 */
export async function run(
  connection: RedisConnection,
  { source, sha1 }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  const count = String(keys.length)
  try {
    return await connection.send('EVALSHA', [sha1, count, ...keys, ...args])
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    if (scripts.hasSubscribers) scripts.publish({ sha1 })
    return connection.send('EVAL', [source, count, ...keys, ...args])
  }
}
