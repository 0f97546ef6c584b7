/** Every command in docs prints what its page shows. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { pages, readPage } from '../support/docs/snippets.ts'

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

test('docs show commands', () => {
  expect(commands.length).toBeGreaterThan(2)
})

test.each(commands)('$page: $command', async ({ command, prints }) => {
  const { stdout } = await run('sh', ['-c', command.replace(/^npx onrush /, `${ONRUSH} `)], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1' },
  })
  expect(stdout.trimEnd()).toBe(prints)
})
