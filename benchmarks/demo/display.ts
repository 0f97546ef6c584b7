/** Shows progress: bars on a terminal, else a line per second. */
import { MultiBar } from 'cli-progress'
import { NOTHING, type Tally } from './orders.ts'
import { number, together } from './outcome.ts'

export interface Display {
  show(tallies: readonly Tally[]): void
  end(): void
}

export function displayOf(member: string, size: number, limit: number): Display {
  return process.stdout.isTTY ? bars(member, size, limit) : lines()
}

function bars(member: string, size: number, limit: number): Display {
  const bars = new MultiBar({
    format: '{name} [{bar}] {admitted} admitted, {refused} refused',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 22,
    hideCursor: true,
    stream: process.stdout,
  })
  const names = [...Array.from({ length: size }, (_, index) => `${member} ${index + 1}`), 'together']
  const width = Math.max(...names.map((name) => name.length))
  const made = names.map((name) => bars.create(limit, 0, { name: name.padEnd(width), ...texts(NOTHING) }))
  return {
    show(tallies) {
      for (const [index, tally] of [...tallies, together(tallies)].entries()) {
        made[index]?.update(Math.min(tally.admitted, limit), texts(tally))
      }
    },
    end: () => bars.stop(),
  }
}

function lines(): Display {
  const start = performance.now()
  let seconds = 0
  return {
    show(tallies) {
      if (performance.now() - start < seconds * 1000) return
      const each = tallies.map(({ admitted }) => number(admitted)).join(' + ')
      const { asked, admitted } = together(tallies)
      console.log(`${seconds++} s: ${each} = ${number(admitted)} admitted of ${number(asked)}`)
    },
    end() {},
  }
}

function texts({ asked, admitted }: Tally): { admitted: string; refused: string } {
  return { admitted: number(admitted), refused: number(asked - admitted) }
}
