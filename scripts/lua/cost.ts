/**
 * Measures what a call of the scripts for checks costs Redis, with the algorithm's functions inlined and not inlined. In µs per call by
 * Redis's own count (`INFO commandstats`); the variants take turns, and the fastest of many turns counts.
 *
 * `npm run lua:cost -- [FILE …]`: also measures the scripts in other files, such as an earlier `lua.generated.ts`.
 */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { startRedis } from '../../test/support/servers/redis.ts'
import { algorithms, generatedText, sizeOf } from './programs.ts'

const TURNS = 40
const CALLS = 100
/** Checks in a lone caller's call, and in a full call. */
const CHECKS = [1, 128]

const QUOTA = ['1000000', '60000000', '1000000']

interface Variant {
  readonly name: string
  /** The script for one layer (`checks`) or for several. */
  text(algorithm: string, script: 'checks' | 'layered_checks'): string
}

/** The two scripts, with their arguments and the layers of a check. */
const SCRIPTS = [
  { script: 'checks', layers: 1, args: ['12345678', '-2', ...QUOTA] },
  { script: 'layered_checks', layers: 2, args: ['12345678', '-1', '2', ...QUOTA, '1', ...QUOTA, '1'] },
] as const

const variants: Variant[] = [
  { name: 'inlined', text: (algorithm, script) => generatedText(script, algorithm) },
  { name: 'not inlined', text: (algorithm, script) => generatedText(script, algorithm, false) },
  ...(await Promise.all(process.argv.slice(2).map(variantOf))),
]

await using server = await startRedis()
const client = new Redis(server.url)
for (const algorithm of algorithms.filter((name) => sizeOf(name) > 0)) {
  for (const { script, layers, args } of SCRIPTS) {
    for (const checks of CHECKS) {
      const keys = Array.from({ length: checks * layers }, (_, index) => `${algorithm}:${script}:${index}`)
      const costs = await measure(
        variants.map((variant) => variant.text(algorithm, script)),
        keys,
        args,
      )
      const said = costs.map((cost, index) => `${variants[index]?.name} ${cost.toFixed(1)} µs`).join(', ')
      console.log(`${algorithm} ${script}, ${checks === 1 ? 'one check' : `${checks} checks`}: ${said}`)
    }
  }
}
client.disconnect()

/** The µs per call of each program. */
async function measure(programs: readonly string[], keys: string[], args: readonly string[]): Promise<number[]> {
  const fastest = programs.map(() => Number.POSITIVE_INFINITY)
  const hashes = programs.map((program) => createHash('sha1').update(program).digest('hex'))
  for (const program of programs) await client.script('LOAD', program)
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, hash] of hashes.entries()) {
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
    text: (algorithm, script) => texts[algorithm][script === 'checks' ? 'checks' : 'layeredChecks'],
  }
}
