/** `npm run bench:document`: draws the plots and fills the tables of `docs/performance.md`, from `results`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { filled, goalsText, machineText, otherServersText, resultText } from './harness/markdown.ts'
import { plotOf } from './harness/plots.ts'
import { type Result, readResults } from './harness/results.ts'
import { QUESTIONS } from './questions.ts'

const ROOT = new URL('../', import.meta.url)
/** Paths relative to the root. The plots must stay there, because README.md links one by its address. */
const PLOTS = 'docs/plots'
const DOCUMENT = 'docs/performance.md'

const found = readResults()
const own = new Map(found.filter(({ server }) => server === undefined).map((result) => [result.question, result]))
const others = found.filter(({ server }) => server !== undefined)
// The words are those of the question now, because they may be mended without measuring again.
const results = QUESTIONS.flatMap(({ name, title, about, remarks = [] }): Result[] => {
  const result = own.get(name)
  return result === undefined ? [] : [{ ...result, title, about, remarks }]
})
/** The text of each block of the document, by the block's name. */
const texts = new Map<string, string>([
  ['goals', goalsText(results)],
  ['machine', machineText(results)],
  ['other-servers', otherServersText(others)],
])

mkdirSync(new URL(PLOTS, ROOT), { recursive: true })
for (const result of results) {
  texts.set(result.question, resultText(result, await draw(result)))
}
const url = new URL(DOCUMENT, ROOT)
writeFileSync(
  url,
  filled(readFileSync(url, 'utf8'), (name) => texts.get(name) ?? 'Not measured yet.'),
)

/** The files of a result's plots by section, relative to the document. */
async function draw(result: Result): Promise<Map<string, string[]>> {
  const files = new Map<string, string[]>()
  for (const section of result.sections) {
    const { plot, otherPlot } = section
    const drawn: string[] = []
    for (const one of [plot, otherPlot]) {
      if (one === undefined) continue
      const file = `${PLOTS}/${result.question}-${section.name}${one === plot ? '' : `-${one.metric}`}.svg`
      writeFileSync(new URL(file, ROOT), `${await plotOf(section, one)}\n`)
      drawn.push(relative(dirname(DOCUMENT), file))
    }
    files.set(section.name, drawn)
  }
  return files
}
