/** How long a fuzz goes on: some runs in the usual tests, FUZZ_SECONDS each in `npm run fuzz`. */
import type { Parameters } from 'fast-check'

const seconds = Number(process.env.FUZZ_SECONDS ?? 0)

/** Room for what the last run still has to do, in ms. */
const GRACE = 30_000

/** For `fc.assert`. A failure says by which seed and path it is seen again. */
export function budget(usualRuns: number): Parameters<unknown> {
  return seconds > 0
    ? { numRuns: 2 ** 31, interruptAfterTimeLimit: seconds * 1000 }
    : { numRuns: usualRuns, seed: 20_260_101 }
}

/** For the test around it. */
export const FUZZ_TIMEOUT = seconds * 1000 + GRACE
