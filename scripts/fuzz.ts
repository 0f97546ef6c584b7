/** Fuzzes whatever callers and other writers can hand us: `npm run fuzz -- SECONDS`, for each of about a dozen questions. */
import { startVitest } from 'vitest/node'

process.env.FUZZ_SECONDS = process.argv[2] ?? '5'
await startVitest('test', ['test/hostile'], { watch: false })
