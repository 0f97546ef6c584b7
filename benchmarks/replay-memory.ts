/**
 * `npm run replay:memory`: the most memory that a replay takes, for logs of more and more lines of the same keys. Each log is read by a process
 * of its own from standard input, with a search for the smallest limit, so that requests are kept to be read again.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { replay } from '../src/cli/replay/replay.ts'

const KEYS = 10_000
const SIZES = [200_000, 1_000_000, 5_000_000]

function* log(lines: number): Generator<Buffer> {
  for (let line = 0; line < lines; ) {
    let text = ''
    for (const end = Math.min(line + 2000, lines); line < end; line++) {
      const time = new Date(1_770_000_000_000 + line * 40).toISOString()
      text += `time=${time} ip=client-${(line * 7919) % KEYS}.example path=/api/orders/${line % 512} status=200\n`
    }
    yield Buffer.from(text)
  }
}

const [lines] = process.argv.slice(2)
if (lines === undefined) {
  for (const size of SIZES) {
    const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), String(size)], {
      stdio: 'inherit',
    })
    await once(child, 'exit')
  }
} else {
  const options = {
    key: 'ip',
    rate: ['100/minute'],
    algorithm: ['gcra'],
    smallest: ['minute'],
    touching: '1%',
    where: [],
    timeZone: 'UTC',
    sortWithin: '10s',
    top: '10',
  }
  const { simulation } = await replay(['-'], options, Readable.from(log(Number(lines))), () => {})
  const megabytes = Math.round(process.resourceUsage().maxRSS / 1024)
  console.log(`${simulation.requests} lines of ${simulation.keys} keys: at most ${megabytes} MB`)
}
