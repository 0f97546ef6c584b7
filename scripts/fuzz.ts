/** Fuzzes all input from callers and from other writers of the store: `npm run fuzz -- SECONDS`, for each of about a dozen tests. */
import { startVitest } from 'vitest/node'

process.env.FUZZ_SECONDS = process.argv[2] ?? '5'
await startVitest('test', ['test/hostile'], { watch: false })
