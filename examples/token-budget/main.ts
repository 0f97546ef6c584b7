/** Spends a budget: `npx tsx examples/token-budget/main.ts`; with REDIS_URL it counts in that Redis. */
import { setTimeout as sleep } from 'node:timers/promises'
import { PeriodicLimiter, Quota, storeFromUrl, Throttle } from 'onrush'
import { type Completion, tokensOf, withBudget } from './budget.ts'

const store = storeFromUrl(process.env.REDIS_URL ?? 'memory://')
// An hour that begins with a team's first call.
const budget = new Throttle({ limiter: new PeriodicLimiter({ store }), rate: Quota.perHour(10_000) })
const complete = withBudget(model, budget)
const team = 'team blue'

/** Stands for a real one, whose answers are as long as they are. */
async function model(prompt: string): Promise<Completion> {
  await sleep(20)
  if (prompt.endsWith('?!')) throw new Error('the model is overloaded')
  const answer = prompt.startsWith('Translate') ? 5200 : prompt.startsWith('Summarise') ? 2000 : 1500
  return { text: 'words of wisdom', tokens: tokensOf(prompt) + answer }
}

async function ask(prompt: string, guess: number): Promise<void> {
  const outcome = await complete(team, prompt, guess).then(
    ({ tokens }) => `used ${tokens} tokens`,
    (error: Error) => error.message,
  )
  console.log(`${prompt} (guess ${guess}) → ${outcome}; ${await left()}`)
}

async function left(): Promise<string> {
  return `${(await budget.peek(team)).remaining} left`
}

await budget.clear(team)
console.log(`${team} has a budget of 10000 tokens an hour`)
await ask('Summarise this report', 4000)
await ask('Why is that so?!', 4000)

// Guesses of 3,000 each: of four at once, two fit into what is left.
const prompts = Array.from({ length: 4 }, (_, call) => `Describe picture ${call}`)
const outcomes = await Promise.allSettled(prompts.map((prompt) => complete(team, prompt, 3000)))
const refused = outcomes.filter(({ status }) => status === 'rejected').length
console.log(`four calls at once, a guess of 3000 each → ${4 - refused} were made, ${refused} refused; ${await left()}`)

// It uses more than was guessed: the excess counts all the same.
await ask('Translate this book', 4900)
await ask('Say hello', 10)

await store.close()
