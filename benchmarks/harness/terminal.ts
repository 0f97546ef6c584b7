/** Prints a result on a terminal. */
import Table from 'cli-table3'
import type { Result } from './results.ts'
import { goalTable, sectionTable, type Table as Texts } from './tables.ts'

export function print(result: Result): void {
  const lines = [`\n${result.title}. ${result.about}`, settingsLine(result)]
  for (const section of result.sections) lines.push(`\n${section.title}`, render(sectionTable(section)))
  for (const remark of result.remarks) lines.push(remark)
  if (result.goals.length > 0) lines.push(render(goalTable(result.goals)))
  if (result.noise.noisy)
    lines.push('THE MACHINE WAS NOISY: small differences mean nothing here.', ...result.noise.signs)
  console.log(lines.join('\n'))
}

/** Prints all goals of a run, and if each was met. */
export function printGoals(results: readonly Result[]): void {
  const goals = results.flatMap((result) => result.goals)
  if (goals.length > 0 && results.length > 1) console.log(`\nGoals\n${render(goalTable(goals))}`)
}

function settingsLine({ settings, pace, seconds }: Result): string {
  const given = Object.entries(settings).map(([name, value]) => `${name} ${value}`)
  return [...given, `${pace.rounds} rounds of ${pace.roundTime} ms`, `took ${seconds.toFixed(1)} s`].join(' · ')
}

function render({ head, rows }: Texts): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  })
  table.push(...rows.map((row) => [...row]))
  return table.toString()
}
