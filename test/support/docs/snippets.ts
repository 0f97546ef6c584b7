/** Programs in the documents: every block that is marked as `ts`. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../../..')
const BLOCK = /^(?<indent> *)```(?<mark>ts\b.*)\n(?<code>[\s\S]*?\n)\k<indent>```$/gm
const PRINTED = /\/\/ → (.*)$/gm

export interface Snippet {
  /** The page from the root of the project: `docs/stores.md`. */
  readonly page: string
  /** The first line of its code in the page. */
  readonly line: number
  readonly code: string
  /** False where the page says that it is not to be run. */
  readonly runs: boolean
  /** True where the page says that it has legacy decorators, as programs of NestJS have. */
  readonly legacyDecorators: boolean
  /** The lines that the snippet prints, if its comments tell them. */
  readonly prints: readonly string[]
}

/** README.md and all pages of docs. */
export function pages(): string[] {
  const names = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
  return ['README.md', ...names.map((name) => `docs/${name}`)]
}

export function readPage(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8')
}

const MARKS = ['ts', 'ts no-run', 'ts experimentalDecorators']

/** @throws Error for any other mark than these. */
export function snippetsIn(page: string, text: string): Snippet[] {
  return [...text.matchAll(BLOCK)].map(({ index, groups = {} }) => {
    const { indent = '', mark = '', code: indented = '' } = groups
    const line = text.slice(0, index).split('\n').length + 1
    if (!MARKS.includes(mark)) {
      throw new Error(`${page}:${line - 1} a block is marked by one of ${MARKS.join(', ')}, got '${mark}'`)
    }
    const code = indented.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    const prints = [...code.matchAll(PRINTED)].map(([, printed = '']) => printed)
    return { page, line, code, runs: mark !== 'ts no-run', legacyDecorators: mark.endsWith('Decorators'), prints }
  })
}
