/** docs/reliability.md speaks of tests that are there. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const page = readFileSync(new URL('../../docs/reliability.md', import.meta.url), 'utf8')
/** As in the table and after it: `outages`: a black hole; those of another folder as `stores/hanging`. */
const named = [...page.matchAll(/(?:\| |\()`(?<file>(?:[a-z-]+\/)?[a-z-]+)`: (?<title>[^|\n]*?)(?: \||\.\))/g)].map(
  ({ groups = {} }) => groups,
)

test('the page names a test for each fault', () => {
  expect(named.length).toBeGreaterThan(20)
})

test.each(named.map(({ file = '', title = '' }) => [title, file]))('there is a test "%s" in %s', (title, file) => {
  const path = file.includes('/') ? `../${file}.test.ts` : `${file}.test.ts`
  const source = readFileSync(new URL(path, import.meta.url), 'utf8')
  // A title may be made of more than the page says, such as where the test runs.
  expect(source.includes(`${title}'`), path).toBe(true)
})
