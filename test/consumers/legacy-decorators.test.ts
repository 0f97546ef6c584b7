/** `@throttled` as TypeScript's `experimentalDecorators` compiles it: the same class also with standard decorators. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BuiltPackage } from '../support/built-package.ts'
import { Consumer } from '../support/consumers/consumer.ts'

const PROGRAM = `
import { DictionaryStore, Throttle, ThrottleExceededError, throttled } from 'onrush'

const throttle = new Throttle({ store: new DictionaryStore(), rate: '2/hour' })

class Api {
  constructor(readonly tenant: string) {}

  @throttled(throttle)
  async greet(name: string): Promise<string> {
    return name + ' of ' + this.tenant
  }

  @throttled(throttle)
  static async ping(): Promise<string> {
    return 'pong'
  }

  @throttled(throttle, { key: (id: string) => 'load:' + id, quantity: 2 })
  async load(id: string, _again: boolean): Promise<string> {
    return id
  }
}

export class Wrong {
  // @ts-expect-error: the decorated method returns a promise
  @throttled(throttle)
  count(): number {
    return 1
  }

  // @ts-expect-error: the key needs a text
  @throttled(throttle, { key: (id: string) => id })
  async load(_id: number): Promise<void> {}
}

async function main(): Promise<void> {
  const api = new Api('acme')
  console.log(await api.greet('Ada'), await Api.ping(), await api.load('7', true))
  const left = (key: string) => throttle.peekSync(key).remaining
  console.log(left('Api.greet'), left('Api.ping'), left('load:7'))
  await api.load('7', true).catch((error: unknown) => console.log(error instanceof ThrottleExceededError))
}
void main()
`

let built: BuiltPackage

beforeAll(async () => {
  built = await BuiltPackage.create()
})

afterAll(() => built?.[Symbol.dispose]())

test.concurrent.each([
  ['typescript5.2', ['--experimentalDecorators']],
  ['typescript5.9', ['--experimentalDecorators', '--emitDecoratorMetadata']],
  ['typescript5.9', ['--experimentalDecorators', '--emitDecoratorMetadata', '--target', 'es2015']],
  ['typescript', ['--experimentalDecorators', '--emitDecoratorMetadata']],
  ['typescript', []],
] as const)('%s %j compiles a decorated class, which runs', async (compiler, options) => {
  using consumer = new Consumer(built, ['@types/node', 'reflect-metadata', compiler])
  consumer.write('package.json', '{}')
  consumer.write('program.ts', PROGRAM)
  const settings = ['--strict', '--skipLibCheck', '--types', 'node', '--pretty', 'false', '--target', 'es2022']
  const module = ['--module', 'nodenext', ...settings, ...options]
  const { stdout } = await consumer.run(`node_modules/${compiler}/bin/tsc`, ...module, 'program.ts')
  expect(stdout).toBe('')
  const ran = await consumer.run('program.js')
  expect(ran).toMatchObject({ code: 0, stderr: '', stdout: 'Ada of acme pong 7\n1 1 0\ntrue\n' })
})
