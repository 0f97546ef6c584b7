/** Tries the properties of calendar quotas TIMES times as often as `npm test` does: `npm run calendar:properties -- TIMES`. */
import { startVitest } from 'vitest/node'

process.env.PROPERTY_TIMES = process.argv[2] ?? '20'
await startVitest('test', ['test/properties/calendar.test.ts', 'test/redis/calendar.test.ts'], {
  watch: false,
  project: 'ioredis 6',
  testTimeout: 1_800_000,
})
