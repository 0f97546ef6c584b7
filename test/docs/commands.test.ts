/** Every command in docs prints what its page shows. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pages, readPage } from '../support/docs/snippets.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '../..')
const BLOCK = /^```console\n([\s\S]*?)^```$/gm
/** The command from its source. */
const ONRUSH = `${process.execPath} --import tsx src/cli/main.ts`

const commands = pages().flatMap((page) =>
  [...readPage(page).matchAll(BLOCK)].flatMap(([, block = '']) => {
    return block.split(/^\$ /m).flatMap((part) => {
      const [command, ...prints] = part.trimEnd().split('\n')
      return command === undefined || command === '' ? [] : [{ page, command, prints: prints.join('\n') }]
    })
  }),
)

let redis: RedisServer

beforeAll(async () => {
  redis = await startRedis()
})

afterAll(() => redis?.stop())

test('docs show commands', () => {
  expect(commands.length).toBeGreaterThan(2)
})

test.each(commands)('$page: $command', async ({ command, prints }) => {
  const { stdout } = await run('sh', ['-c', command.replace(/^npx onrush /, `${ONRUSH} `)], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', ONRUSH_URL: redis.url },
  })
  if (prints.includes('…')) expect(stdout.trimEnd()).toMatch(patternOf(prints))
  else expect(stdout.trimEnd()).toBe(prints)
})

/** `…` stands for what differs from run to run, of one line. */
function patternOf(prints: string): RegExp {
  return new RegExp(
    `^${prints
      .split('…')
      .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  )
}
