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

/** The text of a twin, a number that stands for it, and its scripts for checks on keys that differ, where it has such. */
export interface Twin {
  readonly text: string
  readonly id: number
  /** Of one layer. */
  readonly each: Script | undefined
  /** Of several layers, all by this twin. */
  readonly layers: Script | undefined
}

/** The twins of our algorithms, by id, and their scripts for checks on keys that differ. */
const TWINS: ReadonlyMap<string, readonly [text: string, each?: string, layers?: string]> = new Map([
  ['gcra', [lua.gcra, lua.gcraEach, lua.gcraLayers]],
  ['periodic', [`${lua.periodic}\n${lua.window}`, lua.periodicEach, lua.periodicLayers]],
  ['fixed', [`${lua.fixedWindow}\n${lua.window}`, lua.fixedWindowEach, lua.fixedWindowLayers]],
  ['moving', [lua.movingWindow]],
  ['sliding', [lua.slidingWindowCounter, lua.slidingWindowCounterEach, lua.slidingWindowCounterLayers]],
])

const twins = new Map<string, Twin>()
const composed = new Map<string, Script>()

/**
 * The Lua twin of a layer's algorithm.
 * @throws TypeError where it has none.
 */
export function twinOf({ algorithm, lua: own }: Layer): Twin {
  const [text = own, each, layers] = TWINS.get(algorithm.id) ?? []
  if (text === undefined) {
    throw new TypeError(
      `the algorithm '${algorithm.id}' has no Lua twin: give AlgorithmLimiter its text as \`lua\` to use RedisStore`,
    )
  }
  const known = twins.get(text)
  if (known !== undefined) return known
  const twin = { text, id: twins.size, each: optional(each), layers: optional(layers) }
  twins.set(text, twin)
  return twin
}

function optional(source: string | undefined): Script | undefined {
  return source === undefined ? undefined : script(source)
}

/** For many requests, by just these algorithms. */
export function driverOf(used: readonly Twin[]): Script {
  const name = used.map(({ id }) => id).join(' ')
  const ready = composed.get(name)
  if (ready !== undefined) return ready
  const algorithms = used.map(({ text }) => `(function()\n${text}\nend)()`).join(',\n')
  const made = script(`${lua.common}\nlocal algorithms = {\n${algorithms}\n}\n${lua.decideEach}\n${lua.driver}`)
  composed.set(name, made)
  return made
}

const recorded = new WeakMap<Script, Script>()

/** The script with a record of its last call: see `lua/resend.lua`. */
export function withRecord(decides: Script): Script {
  const ready = recorded.get(decides)
  if (ready !== undefined) return ready
  const made = script(`local function decideCall()\n${decides.source}\nend\n${lua.resend}`)
  recorded.set(decides, made)
  return made
}

export function script(source: string): Script {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

/**
 * Runs a script. A node that does not know it yet (restart, flush, failover, a new node) answers NOSCRIPT before it has done
 * anything; EVAL then loads and runs it in one step, so nothing is lost or done twice.
 */
export function run(
  connection: RedisConnection,
  { source, sha1 }: Script,
  keys: readonly (string | Buffer)[],
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  const words = (first: string): (string | Buffer)[] => {
    const start: (string | Buffer)[] = [first, String(keys.length)]
    // Not spread, which asks for one item after the other.
    return start.concat(keys, args)
  }
  return connection.send('EVALSHA', words(sha1)).then(undefined, (error: unknown) => {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    if (scripts.hasSubscribers) scripts.publish({ sha1 })
    return connection.send('EVAL', words(source))
  })
}
