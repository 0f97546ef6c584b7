/** Links between the documents lead somewhere. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { pages, readPage } from '../support/docs/snippets.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const FENCED = /^ *```[\s\S]*?^ *```$/gm
/** A file of this repository by its address, which links of README.md need. */
const OWN_FILE =
  /\]\(https:\/\/(?:github\.com\/onrush\/onrush\/blob|raw\.githubusercontent\.com\/onrush\/onrush)\/HEAD\//g
const LINK = /\]\((?!https?:)(?<path>[^)#\s]*)(?:#(?<anchor>[^)\s]+))?\)/g

function proseOf(page: string): string {
  return readPage(page).replace(FENCED, '')
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function leadsNowhere(page: string, path: string, anchor: string | undefined): boolean {
  const target = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(ROOT, target))) return true
  return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor)
}

const OTHER_PAGES = ['CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'CODE_OF_CONDUCT.md', 'RELEASING.md']

test('every link and picture of README.md works on the page of a registry, which has no other files', () => {
  const targets = [...proseOf('README.md').matchAll(LINK)].map(([, path]) => path)
  expect(targets.filter((path) => path !== '')).toEqual([])
})

test('README.md leads to every page of docs', () => {
  const readme = proseOf('README.md')
  expect(pages().filter((page) => page !== 'README.md' && !readme.includes(`/HEAD/${page}`))).toEqual([])
})

test('no link of docs leads out of it, because the package holds the pages without the rest of the repository', () => {
  const targets = pages().flatMap((page) => [...proseOf(page).matchAll(LINK)].map(([, path = '']) => path))
  expect(targets.filter((path) => path.startsWith('..'))).toEqual([])
})

test.each([...pages(), ...OTHER_PAGES])('every link in %s leads somewhere', (page) => {
  const toRoot = page.includes('/') ? '../' : ''
  const links = [...proseOf(page).replaceAll(OWN_FILE, `](${toRoot}`).matchAll(LINK)].map(({ groups = {} }) => groups)
  const broken = links.filter(({ path = '', anchor }) => leadsNowhere(page, path, anchor))
  expect(broken.map(({ path, anchor }) => `${path}${anchor === undefined ? '' : `#${anchor}`}`)).toEqual([])
})

test('every file and folder that CONTRIBUTING.md names is there', () => {
  const named = [...proseOf('CONTRIBUTING.md').matchAll(/`((?:src|lua|test|scripts|examples|benchmarks)\/[^`]*)`/g)]
  const paths = named.flatMap(([, path = '']) => (path.includes('NAME') ? [] : [path]))
  expect(paths.length).toBeGreaterThan(40)
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})
