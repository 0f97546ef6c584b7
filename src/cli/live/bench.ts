/** `onrush bench`: how many checks a store decides, in seconds. */
import { createHistogram } from 'node:perf_hooks'
import type { Command } from 'commander'
import { Throttle } from '../../throttle.ts'
import { wholeNumber } from '../option-values.ts'
import { jsonText, type Terminal, whole } from '../terminal.ts'
import { confirm } from './confirm.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'

interface Options extends StoreOptions {
  readonly seconds: string
  readonly inFlight: string
  readonly keys: string
  readonly yes?: boolean
  readonly json?: boolean
}

export function addBench(program: Command, terminal: Terminal): void {
  const command = program
    .command('bench')
    .description('measure how many checks this store decides from here, on keys of its own that expire')
  addStoreOptions(command)
    .option('--seconds <count>', 'how long to measure, 1 to 600', '10')
    .option('--in-flight <count>', 'checks in flight at once, 1 to 10000', '512')
    .option('--keys <count>', 'different keys, 1 to 1000000', '10000')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action((options: Options) => run(options, terminal))
}

async function run(options: Options, terminal: Terminal): Promise<void> {
  const seconds = wholeNumber('--seconds', options.seconds, 1, 600)
  const inFlight = wholeNumber('--in-flight', options.inFlight, 1, 10_000)
  const keys = wholeNumber('--keys', options.keys, 1, 1_000_000)
  await using live = await LiveStore.open(options, terminal)
  const question = `Load ${live.shownUrl} with checks for ${seconds} s, on ${whole(keys)} keys of prefix ${live.prefix}?`
  await confirm(question, options.yes, terminal)
  const throttle = new Throttle({ store: live.store, rate: '1000000/second name onrush-bench' })
  const latency = createHistogram()
  const until = performance.now() + seconds * 1000
  let decided = 0
  const since = performance.now()
  await Promise.all(
    Array.from({ length: inFlight }, async (_, caller) => {
      for (let turn = 0; performance.now() < until; turn++) {
        const asked = performance.now()
        await throttle.check(`onrush bench ${(caller + turn * inFlight) % keys}`)
        latency.record(Math.max(Math.round((performance.now() - asked) * 1000), 1))
        decided++
      }
    }),
  )
  const perSecond = Math.round((decided / (performance.now() - since)) * 1000)
  const [p50, p99] = [latency.percentile(50) / 1000, latency.percentile(99) / 1000]
  const figures = { decided, perSecond, p50, p99, inFlight, keys }
  terminal.stdout.write(
    options.json === true
      ? `${jsonText(figures, 2)}\n`
      : `${whole(perSecond)} checks a second, ${whole(decided)} in all; with ${whole(inFlight)} in flight a check takes ${p50.toFixed(2)} ms (median), ${p99.toFixed(2)} ms (99 %)\n`,
  )
}
