/** Prints the outcome: how many checks of each process were admitted, and if the sum is exactly what the quota allows. */
import Table from 'cli-table3'
import type { Tally } from './orders.ts'

export interface Outcome {
  readonly tallies: readonly Tally[]
  /** Units that the quota allows. */
  readonly limit: number
  /** Time from the first check to the last admission, in ms. */
  readonly time: number
}

/** The exact number to admit: all checks up to the limit, and none beyond. */
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
    // No colours, so that files and pipes get no control codes.
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
