/** docs/errors.md explains each code of an error or a warning, and errors and warnings lead there. */
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as onrush from 'onrush'
import { expect, test } from 'vitest'
import { warnProcess } from '../../src/process-warning.ts'
import { readPage } from '../support/docs/snippets.ts'

const ROOT = resolve(import.meta.dirname, '../..')
/** `ONRUSH_URL` is a variable of the environment. */
const CODE = /\bONRUSH_(?!URL\b)[A-Z_]+\b/g

const page = readPage('docs/errors.md')
const { homepage }: { readonly homepage: string } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const PAGE = homepage.replace('#readme', '/blob/HEAD/docs/errors.md')

function codesIn(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const codes = files.flatMap((file) => readFileSync(join(folder, file), 'utf8').match(CODE) ?? [])
  return [...new Set(codes)].sort()
}

test('every code in the source has its section in docs/errors.md, and every section a code in the source', () => {
  const sections = [...page.matchAll(/^### (ONRUSH_\w+)$/gm)].map(([, code]) => code)
  expect(sections.toSorted()).toEqual(codesIn(join(ROOT, 'src')))
})

test('every class of errors is in the table of docs/errors.md, with its parent and its code', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| `(\w+)` \| \[`(\w+)`\]/gm)].map((row) => row.slice(1))
  const root = onrush.OnrushError
  const classes = Object.entries(onrush).flatMap(([name, value]) =>
    value === root || ('prototype' in value && value.prototype instanceof root) ? [{ name, value }] : [],
  )
  expect(rows.map(([name]) => name).sort()).toEqual(classes.map(({ name }) => name).sort())
  for (const { name, value } of classes) {
    expect(rows.find(([row]) => row === name)?.[1]).toBe(Object.getPrototypeOf(value).name)
  }
})

test('a warning of the process links to the section of its code', async () => {
  const warned = once(process, 'warning')
  warnProcess('ONRUSH_LIMIT', 'the limit is wrong')
  const [warning] = await warned
  expect(warning).toMatchObject({
    code: 'ONRUSH_LIMIT',
    message: 'the limit is wrong',
    detail: `See ${PAGE}#onrush_limit`,
  })
})

test('the links of errors lead to docs/errors.md of the home page', () => {
  expect(new onrush.OnrushError('x').help).toBe(`${PAGE}#onrush_error`)
})
