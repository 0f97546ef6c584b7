/** CHANGELOG.md tells each change once, also after a merge that keeps the lines of both sides. */
import { expect, test } from 'vitest'
import { readPage } from '../support/docs/snippets.ts'

/** Two entries that share more of their words than this are about one change. Others share at most a quarter. */
const SAME_CHANGE = 0.4

/** The text of each version, by its heading. */
const versions = readPage('CHANGELOG.md')
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ version: text.slice(0, text.indexOf('\n')), text }))

test.each(versions)('$version has each section once', ({ text }) => {
  const sections = text.match(/^### .*$/gm) ?? []
  expect(sections).toEqual([...new Set(sections)])
})

test.each(versions)('$version has no two entries about one change', ({ text }) => {
  const entries = (text.match(/^- .*(?:\n {2}.*)*/gm) ?? []).map((entry) => ({ entry, words: wordsOf(entry) }))
  const twice = entries.flatMap((one, index) =>
    entries
      .slice(index + 1)
      .filter((other) => likeness(one.words, other.words) > SAME_CHANGE)
      .map((other) => [one.entry, other.entry]),
  )
  expect(twice).toEqual([])
})

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.toLowerCase().match(/\w+/g))
}

/** Between 0 and 1: the part of all their words that both have. */
function likeness(one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  const shared = [...one].filter((word) => other.has(word)).length
  return shared / (one.size + other.size - shared)
}
