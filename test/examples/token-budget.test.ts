import { expect, test } from 'vitest'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

async function checkRun(environment?: Record<string, string>): Promise<void> {
  expect(await runExample('token-budget', environment)).toEqual([
    'team blue has a budget of 10000 tokens an hour',
    'Summarise this report (guess 4000) → used 2006 tokens; 7994 left',
    'Why is that so?! (guess 4000) → the model is overloaded; 7994 left',
    'four calls at once, a guess of 3000 each → 2 were made, 2 refused; 4984 left',
    'Translate this book (guess 4900) → used 5205 tokens; 0 left',
    'Say hello (guess 10) → team blue is over its budget for 60 min; 0 left',
  ])
}

test('a team is charged for the tokens that it used, and calls at once fit the budget by their guesses', () =>
  checkRun())

test('and so on Redis', async () => {
  await using redis = await startRedis()
  await checkRun({ REDIS_URL: redis.url })
})
