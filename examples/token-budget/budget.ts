/** A language model whose teams have a budget of tokens. What a call costs is known only when it has been made. */
import type { Throttle } from 'onrush'

export interface Completion {
  readonly text: string
  /** Of the prompt and the answer together. */
  readonly tokens: number
}

export type Model = (prompt: string) => Promise<Completion>

export class OverBudgetError extends Error {
  /** ms until the same call would fit, if nobody else makes one. */
  readonly retryAfter: number

  constructor(team: string, retryAfter: number) {
    super(`${team} is over its budget for ${Math.ceil(retryAfter / 60_000)} min`)
    this.retryAfter = retryAfter
  }
}

/**
 * A model that charges each team for what it used: however many calls run at once, they fit the budget by their guesses,
 * which are numbers of tokens that answers are thought to need.
 */
export function withBudget(model: Model, budget: Throttle) {
  return async (team: string, prompt: string, guess: number): Promise<Completion> => {
    // Where the model fails, `await using` gives all of it back.
    await using reservation = await budget.reserve(team, tokensOf(prompt) + guess)
    const { limited, retryAfter } = reservation.result
    if (limited) throw new OverBudgetError(team, retryAfter)
    const completion = await model(prompt)
    await reservation.settle(completion.tokens)
    return completion
  }
}

/** About four characters make a token. */
export function tokensOf(text: string): number {
  return Math.ceil(text.length / 4)
}
