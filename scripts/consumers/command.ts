/** The command `onrush` of the installed package, with no other package beside it, in a real shell. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expectEqual, Project } from './project.ts'
import { completed, SHELLS } from './shells.ts'

const LOG = Array.from({ length: 5000 }, (_, index) => {
  return `{"time":"2026-03-29T00:00:0${index % 10}Z","ip":"user:${index}"}\n`
}).join('')

/** What is typed before the tabulator key, and the line after it. Only bash completes keys to nothing and not to files. */
const COMPLETIONS = [
  ['onrush pe', 'onrush peek '],
  ['onrush replay --alg', 'onrush replay --algorithm '],
  ['onrush peek user:42 --algorithm gc', 'onrush peek user:42 --algorithm gcra '],
  ['onrush replay acc', 'onrush replay access.log '],
  ['onrush replay --html acc', 'onrush replay --html access.log '],
  ["onrush explain '$(touch owned)' --js", "onrush explain '$(touch owned)' --json "],
]

export async function command(tarball: string): Promise<void> {
  using project = new Project({ 'access.log': LOG })
  await project.install(tarball)
  const { directory } = project
  const path = [join(directory, 'node_modules/.bin'), dirname(process.execPath), process.env.PATH].join(':')
  const bash = (script: string) => {
    const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
      cwd: directory,
      env: { PATH: path, HOME: directory },
      encoding: 'utf8',
    })
    return { status, stdout, stderr }
  }

  const version = execFileSync('npx', ['onrush', '--version'], { cwd: directory, encoding: 'utf8' })
  expectEqual(/^\d+\.\d+\.\d+\n$/.test(version), true)
  expectEqual(bash('onrush replay access.log --rate 1/second --html report.html --smallest second > out'), {
    status: 0,
    stdout: '',
    stderr: '',
  })
  expectEqual(existsSync(join(directory, 'report.html')), true)
  // A reader that has seen enough is no error; a full disk is one, and no refusal.
  const head = 'onrush replay access.log --rate 1/second --top 5000 --json | head -n 1; exit "$PIPESTATUS"'
  expectEqual(bash(head), { status: 0, stdout: '{\n', stderr: '' })
  // Who still writes is not waited for, once it is clear that this is no log.
  const endless = bash('timeout 20 onrush replay - --rate 1/second < <(echo garbage; exec sleep 40 2> /dev/null)')
  expectEqual([endless.status, /is no log that can be read/.test(endless.stderr)], [2, true])
  const full = bash('onrush replay access.log --rate 1/second > /dev/full')
  expectEqual([full.status, /^error: ENOSPC[^\n]*\n$/.test(full.stderr)], [3, true])
  const unreachable = bash('onrush doctor --url redis://:hunter2@127.0.0.1:1')
  expectEqual([unreachable.status, /^error: cannot reach (?!.*hunter2)[^\n]*\n$/.test(unreachable.stderr)], [3, true])
  const colours = bash('for no in "" 1; do NO_COLOR=$no FORCE_COLOR=1 onrush peek x; done; true')
  expectEqual(
    colours.stderr.split('\n').map((line) => line.startsWith('\u001b')),
    [true, false, false],
  )

  for (const shell of SHELLS) {
    const { lines, errors } = completed(
      shell,
      directory,
      path,
      COMPLETIONS.map(([typed = '']) => typed),
    )
    expectEqual([shell.name, errors, ...lines], [shell.name, '', ...COMPLETIONS.map(([, line]) => `<${line}>`)])
    expectEqual([shell.name, existsSync(join(directory, 'owned'))], [shell.name, false])
  }
}
