/** Writes results into documents, each between two comments that name the result. */
import type { Result } from './results.ts'
import { goalTable, sectionTable, type Table } from './tables.ts'

const BLOCK = /(<!-- results: (\S+) -->\n)[\s\S]*?(<!-- end of results -->)/g

/** Replaces the content of each block `<!-- results: name --> … <!-- end of results -->` by `textOf(name)`. */
export function filled(document: string, textOf: (name: string) => string): string {
  return document.replace(BLOCK, (_, begin: string, name: string, end: string) => `${begin}\n${textOf(name)}\n\n${end}`)
}

/** @param plots the paths of each section's plots, relative to the document */
export function resultText(result: Result, plots: ReadonlyMap<string, readonly string[]>): string {
  const parts = [`${result.about} ${measuredWith(result)}`]
  for (const section of result.sections) {
    parts.push(`**${section.title}**`, tableText(sectionTable(section)))
    for (const plot of plots.get(section.name) ?? []) parts.push(`![${result.title}: ${section.title}](${plot})`)
  }
  parts.push(...result.remarks)
  if (result.noise.noisy) parts.push(`The machine was noisy: ${result.noise.signs.join(' ')}`)
  return parts.join('\n\n')
}

export function goalsText(results: readonly Result[]): string {
  return tableText(goalTable(results.flatMap(({ goals }) => goals)))
}

/** The goals and tables of runs on other servers, without plots. */
export function otherServersText(results: readonly Result[]): string {
  if (results.length === 0) return 'Not measured yet.'
  return results
    .flatMap((result) => [
      `**${result.title}, ${result.server ?? ''}**`,
      ...(result.goals.length === 0 ? [] : [goalsText([result])]),
      ...result.sections.flatMap((section) => [`${section.title}:`, tableText(sectionTable(section))]),
    ])
    .join('\n\n')
}

/** The machines and versions of all results; one line when they are the same. */
export function machineText(results: readonly Result[]): string {
  const texts = results.map(({ machine, versions, date }) => {
    const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
    const { cores, processor, memoryGigabytes, system } = machine
    return `${date.slice(0, 10)}: ${cores} cores of ${processor}, ${memoryGigabytes} GB, ${system}; ${used.join(', ')}.`
  })
  return [...new Set(texts)].join('\n\n')
}

function measuredWith({ pace }: Result): string {
  if (pace.rounds === 1) return `One round of ${pace.roundTime} ms.`
  return `Medians of ${pace.rounds} rounds of ${pace.roundTime} ms each, quartiles in brackets.`
}

function tableText({ head, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}
