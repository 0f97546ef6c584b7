/** Every program in README.md and docs does what its page says. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Project } from '../support/docs/project.ts'
import { pages, readPage, type Snippet, snippetsIn } from '../support/docs/snippets.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'

const snippets = pages().flatMap((page) => snippetsIn(page, readPage(page)))

let redis: RedisServer
let project: Project

beforeAll(async () => {
  // A database for each, so that none meets the keys of another.
  redis = await startRedis({ args: ['--databases', String(snippets.length + 1)] })
  project = await Project.create(snippets, (snippet) => `${redis.url}/${snippets.indexOf(snippet)}`)
})

afterAll(async () => {
  project?.[Symbol.dispose]()
  await redis?.stop()
})

test.concurrent.each(snippets.map((snippet) => [`${snippet.page}:${snippet.line}`, snippet] as const))(
  'the program at %s compiles, runs, ends and prints what it says',
  async (place, snippet) => {
    expect(project.errorsOf(snippet)).toEqual([])
    if (snippet.runs) await checkRun(place, snippet)
  },
)

async function checkRun(place: string, snippet: Snippet): Promise<void> {
  const { code, stdout, stderr } = await project.run(snippet)
  if (code !== 0) throw new Error(`${place} ended with ${code}:\n${stdout}${stderr}`)
  if (snippet.prints.length > 0) expect(stdout.trimEnd().split('\n'), place).toEqual(snippet.prints)
}
