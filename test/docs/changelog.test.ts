/** CHANGELOG.md tells each change once. */
import { expect, test } from 'vitest'
import { readPage } from '../support/docs/snippets.ts'

/** What each version tells, by its heading. */
const versions = readPage('CHANGELOG.md')
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ version: text.slice(0, text.indexOf('\n')), lines: text.split('\n') }))

test.each(versions)('$version has each section once, and no entry twice', ({ lines }) => {
  const told = lines.filter((line) => /^(?:### |- )/.test(line))
  expect(told.filter((line, index) => told.indexOf(line) !== index)).toEqual([])
})
