import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** The entries of the package, as `exports` in package.json has them, read from their sources. */
const entries = [
  { find: /^onrush$/, replacement: source('index.ts') },
  { find: /^onrush\/(http|nestjs|opentelemetry|outbound|simulate|testing)$/, replacement: source('$1/index.ts') },
  { find: /^onrush\/([a-z-]+)$/, replacement: source('http/$1.ts') },
]

/** Clients that a RedisStore accepts beside ioredis 6: the tests that go through a client run on each. */
const OTHER_CLIENTS = ['ioredis 5', 'iovalkey', 'node-redis 6 over RESP3', 'node-redis 5 over RESP2']

const ON_EACH_CLIENT = [
  ...['coalescing', 'expiry', 'extremes', 'foreign-values', 'giving-back', 'hash-tag', 'keys', 'least-algorithm'].map(
    inRedis,
  ),
  ...['moving-window-log', 'lua-implementations'].map(inRedis),
  ...['exactness', 'expiry', 'lua-implementations', 'reservation'].map((name) => `test/reserve/${name}.test.ts`),
  'test/waiting/acquire.test.ts',
]

export default defineConfig({
  resolve: { alias: entries },
  test: {
    projects: [
      { extends: true, test: { name: 'ioredis 6', include: ['test/**/*.test.ts'] } },
      ...OTHER_CLIENTS.map((name) => ({
        extends: true as const,
        test: {
          name,
          include: ON_EACH_CLIENT,
          // The first client tries often enough whatever does not depend on the client.
          env: { ONRUSH_TEST_CLIENT: name, PROPERTY_TIMES: '0.2' },
        },
      })),
    ],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // More than the two cores of a small machine, because many tests wait for time to pass.
    maxWorkers: 3,
  },
})

function inRedis(name: string): string {
  return `test/redis/${name}.test.ts`
}

function source(path: string): string {
  return `${fileURLToPath(new URL('./src/', import.meta.url))}${path}`
}
