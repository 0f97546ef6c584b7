/** `npm run bench:document`: draws the plots and fills the tables of the documents, from `results` alone. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { filled, goalsText, machineText, resultText } from './harness/markdown.ts'
import { plotOf } from './harness/plots.ts'
import { type Result, readResults } from './harness/results.ts'
import { QUESTIONS } from './questions.ts'

const ROOT = new URL('../', import.meta.url)
/** Paths are seen from the root. */
const PLOTS = 'docs/plots'
const DOCUMENTS = ['docs/performance.md', 'README.md']
/** README.md is shown by registries too, which have no pictures. */
const PICTURES = 'https://raw.githubusercontent.com/onrush/onrush/HEAD/'

const found = readResults()
const results = QUESTIONS.flatMap(({ name }) => found.get(name) ?? [])
/** By the name of a block: its text in a document of this directory. */
const texts = new Map<string, (directory: string) => string>([
  ['goals', () => goalsText(results)],
  ['machine', () => machineText(results)],
])

mkdirSync(new URL(PLOTS, ROOT), { recursive: true })
for (const result of results) {
  const plots = await draw(result)
  texts.set(result.question, (directory) => {
    const seen = (file: string): string => (directory === '.' ? `${PICTURES}${file}` : relative(directory, file))
    return resultText(result, new Map([...plots].map(([section, file]) => [section, seen(file)])))
  })
}
for (const file of DOCUMENTS) {
  const url = new URL(file, ROOT)
  if (!existsSync(url)) continue
  const textOf = (name: string): string => texts.get(name)?.(dirname(file)) ?? 'Not measured yet.'
  writeFileSync(url, filled(readFileSync(url, 'utf8'), textOf))
}

/** The files of a result's plots, by section. */
async function draw(result: Result): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const section of result.sections) {
    const svg = await plotOf(section)
    if (svg === undefined) continue
    const file = `${PLOTS}/${result.question}-${section.name}.svg`
    writeFileSync(new URL(file, ROOT), `${svg}\n`)
    files.set(section.name, file)
  }
  return files
}
