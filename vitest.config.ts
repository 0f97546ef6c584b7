import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** The entries of the package, as `exports` in package.json has them, read from their sources. */
const entries = [
  { find: /^onrush$/, replacement: source('index.ts') },
  { find: /^onrush\/(http|opentelemetry|testing)$/, replacement: source('$1/index.ts') },
  { find: /^onrush\/([a-z-]+)$/, replacement: source('http/$1.ts') },
]

export default defineConfig({
  resolve: { alias: entries },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
})

function source(path: string): string {
  return `${fileURLToPath(new URL('./src/', import.meta.url))}${path}`
}
