/** `onrush replay`. */
import { writeFile } from 'node:fs/promises'
import { SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import { ALGORITHM_NAMES } from '../algorithms.ts'
import { UsageError } from '../exit-codes.ts'
import { chosen, repeatable, withChoices } from '../option-values.ts'
import { colorsOf, type Terminal } from '../terminal.ts'
import { jsonReport } from './json-report.ts'
import { FORMAT_NAMES } from './log-format.ts'
import { type ReplayOptions, replay } from './replay.ts'
import { textReport } from './text-report.ts'

interface Options extends ReplayOptions {
  readonly json?: boolean
  readonly html?: string
}

const EXAMPLES = `
Examples:
  $ onrush replay access.log --rate '100/minute' --rate '20/second burst 40'
  $ onrush replay access.log.*.gz --key 'ip+path:/api/:name' --smallest minute --touching 0.1%
  $ kubectl logs api | onrush replay - --key user --time ts --cost tokens --rate '90000/minute' --json

A key is made of fields joined by +: a name (ip, user, or any field of a structured log), header:NAME, or path:PATTERN, such as
path:/users/:id. Access logs have the fields ip, user, time, method, url, path, status, bytes, header:referer and header:user-agent.`

export function addReplay(program: Command, terminal: Terminal): void {
  program
    .command('replay')
    .description('play access logs through candidate limits, and tell what each would have refused')
    .argument(
      '<files...>',
      'logs: Common or Combined format, JSON lines, CSV with a header, logfmt; also packed by gzip; - is standard input',
    )
    .option('--key <fields>', 'the key of a request: fields joined by +', 'ip')
    .addOption(
      repeatable(
        '--rate <rate>',
        "a limit to try, such as '100/minute burst 20', or several as one: '10/second; 1000/day'",
      ),
    )
    .addOption(withChoices(repeatable('--algorithm <name>', 'how limits count', 'gcra'), ALGORITHM_NAMES))
    .option('--together', 'try also all rates as layers of one throttle')
    .addOption(
      repeatable('--smallest <period>', 'find the smallest limit of this period that touches few keys, such as minute'),
    )
    .option('--touching <share>', 'the share of keys of which --smallest may touch fewer', '0.1%')
    .addOption(
      repeatable('--where <condition>', 'play only lines for which this holds: status>=400, method=POST, path~^/api/'),
    )
    .option('--cost <field>', 'the field of units that a line costs (default: each line costs 1)')
    .option('--time <field>', 'the field of the time (default: the first usual name that the log has)')
    .option('--time-zone <zone>', 'the zone of times that name none', 'UTC')
    .addOption(chosen('--format <format>', 'the format of the logs; without it the first line tells', FORMAT_NAMES))
    .option('--sort-within <duration>', 'how far out of order lines may stand', '10s')
    .option('--top <count>', 'how many of the hardest hit keys to list', '10')
    .option('--json', 'print the report as JSON')
    .option('--html <file>', 'write the report with plots to one HTML file')
    .addHelpText('after', EXAMPLES)
    .action(async (files: string[], options: Options) => {
      await run(files, options, terminal)
    })
}

async function run(files: readonly string[], given: Options, terminal: Terminal): Promise<void> {
  const algorithm = given.algorithm.length > 0 ? given.algorithm : ['gcra']
  const bar = progressBar(terminal)
  const report = await replay(files, { ...given, algorithm }, terminal.stdin, (share) => bar?.update(share)).finally(
    () => bar?.stop(),
  )
  if (given.html !== undefined) {
    const { htmlReport } = await import('./html-report.ts')
    await written(given.html, await htmlReport(report))
  }
  terminal.stdout.write(`${given.json === true ? jsonReport(report) : textReport(report, colorsOf(terminal))}\n`)
}

/** On a terminal only. `undefined`: none. */
function progressBar({ stderr }: Terminal): SingleBar | undefined {
  if (stderr.isTTY !== true) return undefined
  const bar = new SingleBar({ format: 'reading {bar} {percentage}%', stream: process.stderr, clearOnComplete: true })
  bar.start(1, 0)
  return bar
}

async function written(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text)
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
