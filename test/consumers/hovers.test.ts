/** The hovers of an editor: each exported name, member and option says what it is for. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROOT } from '../../scripts/package/manifest.ts'
import { BuiltPackage } from '../support/built-package.ts'
import { Consumer } from '../support/consumers/consumer.ts'
import { Declarations, faultsOf } from '../support/consumers/declarations.ts'

const SOURCE = join(ROOT, 'src')

/** The name that a tag `@internal` stands before. */
const INTERNAL = /@internal\s*\*\/\s*(?:(?:static|protected|abstract|override|async|get)\s+)*(\w+)/g

/** Clients of other packages, described by their shape. Their own documentation explains them. */
const SHAPE_OF_CLIENTS = /^onrush BorrowedClient[.:]/

let built: BuiltPackage
let consumer: Consumer
let declarations: Declarations

beforeAll(async () => {
  built = await BuiltPackage.create()
  consumer = new Consumer(built, ['@types/node', 'ioredis', '@nestjs/throttler'])
  consumer.write('package.json', JSON.stringify({ type: 'module' }))
  declarations = new Declarations(consumer.directory)
})

afterAll(() => {
  consumer?.[Symbol.dispose]()
  built?.[Symbol.dispose]()
})

test('every exported name, member and option has a doc comment, and every class an example', () => {
  expect(declarations.exports.length).toBeGreaterThan(80)
  expect(declarations.undocumented().filter((name) => !SHAPE_OF_CLIENTS.test(name))).toEqual([])
})

test('every option that takes a number or a duration says its unit, its range, and its default', () => {
  expect(declarations.untoldNumbers()).toEqual([])
  expect(declarations.numbers).toBeGreaterThan(30)
})

test('no declaration shows a type that users cannot import', () => {
  expect(declarations.innerTypes().filter((name) => !SHAPE_OF_CLIENTS.test(name))).toEqual([])
})

test('nothing internal is declared', () => {
  const source = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(SOURCE, file), 'utf8'))
  const internal = source.flatMap((text) => [...text.matchAll(INTERNAL)].map(([, name = '']) => name))
  expect(internal).toContain('makeDecider')
  expect(declarations.membersOfClasses().filter((member) => internal.includes(member.replace(/.*\./, '')))).toEqual([])
})

test('every example in a doc comment compiles', () => {
  const examples = declarations.examples()
  const files = examples.map(({ code, entry }, index) => {
    const from = ['onrush', ...(entry === 'onrush' ? [] : [entry])].map((path) => {
      const names = declarations.exports.filter((one) => one.entry === path).map(({ name }) => name)
      const used = names.filter((name) => new RegExp(`\\b${name}\\b`).test(code))
      return `import { ${used.join(', ')} } from '${path}'`
    })
    const file = `example-${index}.ts`
    consumer.write(file, `${from.join('\n')}\n${code}\nexport {}\n`)
    return join(consumer.directory, file)
  })
  expect(files.length).toBeGreaterThan(20)
  expect(faultsOf(files)).toEqual([])
})
