/**
 * Measures what a call of the script for checks costs Redis, with the algorithm's functions inlined and not inlined. In µs per call by
 * Redis's own count (`INFO commandstats`); the variants take turns, and the fastest of many turns counts.
 *
 * `npm run lua:cost -- [FILE …]`: also measures the scripts in other files, such as an earlier `lua.generated.ts` of the same arguments.
 */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { stateId } from '../../src/redis/call/state-records.ts'
import { unrolled } from '../../src/redis/call/unroll.ts'
import { startRedis } from '../../test/support/servers/redis.ts'
import { algorithms, checksText, isSmall, sizeOf } from './programs.ts'

const TURNS = 40
const CALLS = 100
/** Checks in a lone caller's call, and in a full call. */
const CHECKS = [1, 128]

/** Layers of a check. */
const LAYERS = [1, 2, 3, 8]

interface Variant {
  readonly name: string
  /** The script for checks, as src/redis/call/unroll.ts takes it. */
  readonly text: (algorithm: string) => string
  /** True: values of one expiry are written by one MSETEX. Default false. */
  readonly isGrouped?: boolean
}

const variants: Variant[] = [
  { name: 'inlined', text: (algorithm) => checksText(algorithm) },
  { name: 'inlined, by MSETEX', text: (algorithm) => checksText(algorithm), isGrouped: true },
  { name: 'not inlined', text: (algorithm) => checksText(algorithm, false) },
  ...(await Promise.all(process.argv.slice(2).map(variantOf))),
]

await using server = await startRedis()
const client = new Redis(server.url)
for (const algorithm of algorithms.filter(isSmall)) {
  for (const layers of LAYERS) {
    for (const checks of CHECKS) {
      const size = sizeOf(algorithm)
      const keys = Array.from({ length: checks }, (_, index) => `${algorithm}:${layers}:${index}`)
      const costs = await measure(
        variants.map(({ text, isGrouped }) => ({
          program: unrolled(text(algorithm), size, layers),
          args: argumentsFor(size, layers, isGrouped),
        })),
        keys,
      )
      const said = costs.map((cost, index) => `${variants[index]?.name} ${cost.toFixed(1)} µs`).join(', ')
      const many = checks === 1 ? 'one check' : `${checks} checks`
      console.log(`${algorithm}, ${many} of ${layers} ${layers === 1 ? 'layer' : 'layers'}: ${said}`)
    }
  }
}
client.disconnect()

/** An echo, the server's clock, and for each layer an id and a million units a minute. */
function argumentsFor(size: number, layers: number, isGrouped = false): string[] {
  const args = ['12345678', '-1']
  for (let layer = 0; layer < layers; layer++)
    args.push(String(stateId(String(layer), size)), '1000000', '60000000', '1000000')
  return isGrouped ? [...args, '1'] : args
}

interface Measured {
  readonly program: string
  readonly args: readonly string[]
}

/** The µs per call of each program. */
async function measure(programs: readonly Measured[], keys: string[]): Promise<number[]> {
  const fastest = programs.map(() => Number.POSITIVE_INFINITY)
  for (const { program } of programs) await client.script('LOAD', program)
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, { program, args }] of programs.entries()) {
      const hash = createHash('sha1').update(program).digest('hex')
      await client.config('RESETSTAT')
      await Promise.all(Array.from({ length: CALLS }, () => client.evalsha(hash, keys.length, ...keys, ...args)))
      const [, cost] = /cmdstat_evalsha:.*usec_per_call=([\d.]+)/.exec(await client.info('commandstats')) ?? []
      fastest[index] = Math.min(fastest[index] ?? 0, Number(cost))
    }
  }
  return fastest
}

async function variantOf(file: string): Promise<Variant> {
  const { algorithms: texts } = await import(pathToFileURL(resolve(file)).href)
  return {
    name: file,
    text: (algorithm) => texts[algorithm].checks,
  }
}
