/** What came out: who got how many, and whether that is exactly what the quota allows. */
import Table from 'cli-table3'
import type { Tally } from './orders.ts'

export interface Outcome {
  readonly tallies: readonly Tally[]
  /** Units that the quota allows. */
  readonly limit: number
  /** ms from the first question to the last admission. */
  readonly time: number
}

/** All had to be admitted until the limit was reached, and none after it. */
export function boundOf({ tallies, limit }: Outcome): number {
  return Math.min(together(tallies).asked, limit)
}

export function isHeld(outcome: Outcome): boolean {
  return together(outcome.tallies).admitted === boundOf(outcome)
}

export function tableOf(member: string, outcome: Outcome): string {
  const { tallies, time } = outcome
  const speed = (tally: Tally): string => number(tally.admitted / (time / 1000))
  const all = together(tallies)
  const table = new Table({
    head: [member, 'asked', 'admitted', 'exact bound', 'admitted/s', 'bound held'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left'],
    // Without the library's own colours, so that a file or a pipe gets no control codes.
    style: { head: [], border: [], compact: true },
  })
  table.push(
    ...tallies.map((tally, index) => [index + 1, number(tally.asked), number(tally.admitted), '', speed(tally), '']),
    [
      'all',
      number(all.asked),
      number(all.admitted),
      number(boundOf(outcome)),
      speed(all),
      isHeld(outcome) ? 'yes' : 'NO',
    ],
  )
  return table.toString()
}

export function together(tallies: readonly Tally[]): Tally {
  return {
    asked: sum(tallies.map(({ asked }) => asked)),
    admitted: sum(tallies.map(({ admitted }) => admitted)),
    latest: Math.max(...tallies.map(({ latest }) => latest)),
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, next) => total + next, 0)
}

const format = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export function number(value: number): string {
  return format.format(value)
}
