/** The scripts that Redis runs. The batch script is composed of only those algorithms that a call needs. */
import type { Layer } from '../../algorithms/driver.ts'
import { BUILT_IN } from '../../algorithms/index.ts'
import { bulk } from '../clients/protocol.ts'
import { sha1Hex } from '../digest.ts'
import { type AlgorithmParts, framed } from './frame.ts'
import * as lua from './lua.generated.ts'
import { MOST_UNROLLED, unrolled } from './unroll.ts'

export interface Script {
  readonly source: string
  readonly sha1: string
  /** EVALSHA and the hash in the protocol of Redis. */
  readonly evalsha: string
}

/** The Lua implementation of an algorithm. */
export interface LuaImplementation {
  readonly text: string
  readonly id: number
  /** The text of `lua/scripts/checks.lua` for this algorithm. `undefined`: none exists. */
  readonly checks: string | undefined
  /** The parts of `lua/scripts/subjects.lua` for this algorithm. `undefined`: none exist. */
  readonly subjects: AlgorithmParts | undefined
}

interface Texts {
  readonly implementation: string
  readonly checks?: string
  readonly subjects?: AlgorithmParts
}

const FILES: Record<keyof typeof BUILT_IN, Texts> = lua.algorithms

/** Texts of the built-in algorithms, by file. */
const TEXTS_BY_FILE: ReadonlyMap<string, Texts> = new Map(Object.entries(FILES))

/** The files of the built-in algorithms, by id. */
const FILES_BY_ID: ReadonlyMap<string, string> = new Map(Object.entries(BUILT_IN).map(([file, { id }]) => [id, file]))

const implementations = new Map<string, LuaImplementation>()
const composed = new Map<string, Script>()

/**
 * The Lua implementation of a layer's algorithm.
 * @throws TypeError if there is none.
 */
export function luaImplementationOf({ algorithm, lua: own }: Layer): LuaImplementation {
  const texts = TEXTS_BY_FILE.get(algorithm.luaFile ?? FILES_BY_ID.get(algorithm.id) ?? '')
  const text = texts?.implementation ?? own
  if (text === undefined) {
    throw new TypeError(
      `the algorithm '${algorithm.id}' has no Lua implementation: give AlgorithmLimiter its text as \`lua\` to use RedisStore`,
    )
  }
  const known = implementations.get(text)
  if (known !== undefined) return known
  const made = { text, id: implementations.size, checks: texts?.checks, subjects: texts?.subjects }
  implementations.set(text, made)
  return made
}

/** The Lua implementation of a block, which the script keeps as it keeps the state of an algorithm. */
export function luaImplementationOfBlock(block: Layer): LuaImplementation {
  return luaImplementationOf({ ...block, lua: lua.block })
}

const LOGS = script(lua.logs)

/** The script for operations on permits alone, `lua/scripts/tickets.lua`. */
export const TICKETS = script(lua.tickets)

const unrolledScripts = new Map<string, Script>()

/**
 * The fast script for checks of so many layers, all of this algorithm, on different keys. `undefined`: none exists.
 * @param size numbers per state
 */
export function checksScriptOf(
  { checks, id, text }: LuaImplementation,
  size: number,
  layers: number,
): Script | undefined {
  if (text === lua.algorithms.moving_window.implementation) return layers === 1 ? LOGS : undefined
  if (checks === undefined || layers > MOST_UNROLLED) return undefined
  const name = `${id} ${layers}`
  const ready = unrolledScripts.get(name)
  if (ready !== undefined) return ready
  const made = script(unrolled(checks, size, layers))
  unrolledScripts.set(name, made)
  return made
}

const framedScripts = new Map<string, Script>()

/** The script for checks of several throttles and subjects, `lua/scripts/subjects.lua`, whose layers have these algorithms. */
export function subjectsScriptOf(used: readonly LuaImplementation[]): Script {
  const name = used.map(({ id }) => id).join(' ')
  const ready = framedScripts.get(name)
  if (ready !== undefined) return ready
  const parts = used.flatMap(({ subjects }) => (subjects === undefined ? [] : [subjects]))
  const made = script(framed(lua.subjects, parts))
  framedScripts.set(name, made)
  return made
}

/**
 * The general script, `lua/scripts/batch.lua`, with only these algorithms.
 * @param together true for a call that asks for several subjects with permits in one step
 */
export function batchScriptOf(used: readonly LuaImplementation[], together = false): Script {
  const name = `${used.map(({ id }) => id).join(' ')}${together ? ' together' : ''}`
  const ready = composed.get(name)
  if (ready !== undefined) return ready
  const algorithms = used.map(({ text }) => `(function()\n${text}\nend)()`).join(',\n')
  const single = used.some(({ text }) => text === lua.algorithms.concurrency.implementation) ? lua.permits : ''
  const permits = together ? `${lua.permits}\n${lua.permitsTogether}` : single
  const blocks = used.some(({ text }) => text === lua.block) ? lua.blocks : ''
  const made = script(filled(filled(filled(lua.batch, 'permits', permits), 'blocks', blocks), 'algorithms', algorithms))
  composed.set(name, made)
  return made
}

/** Wraps a script so that a resent call is not counted twice: see `lua/scripts/resend.lua`. */
export const withRecord = wrapping(lua.resend)

/** Wraps a script so that it takes keys of several slots of a node: see `lua/scripts/across_slots.lua`. */
export const onManySlots = wrapping(lua.acrossSlots)

/** Puts scripts into another, each once. */
function wrapping(outer: string): (decides: Script) => Script {
  const wrapped = new WeakMap<Script, Script>()
  return (decides) => {
    const ready = wrapped.get(decides)
    if (ready !== undefined) return ready
    const made = script(filled(outer, 'script', decides.source))
    wrapped.set(decides, made)
    return made
  }
}

/** Replaces one `#include` that is left for runtime. */
function filled(source: string, open: string, text: string): string {
  return source.replace(`--#include <${open}>`, () => text)
}

export function script(source: string): Script {
  const sha1 = sha1Hex(source)
  return { source, sha1, evalsha: bulk('evalsha') + bulk(sha1) }
}
