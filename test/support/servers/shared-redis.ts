/** One Redis for all tests of a file: each test keeps to a prefix of its own, so nobody has to flush. */
import { randomUUID } from 'node:crypto'
import { type RedisServer, startRedis } from './redis.ts'

let server: Promise<RedisServer> | undefined

/** The same server at each call; it ends with the process. Not for tests that stop it, flush it or change its settings. */
export function sharedRedis(): Promise<RedisServer> {
  server ??= startRedis()
  return server
}

/** A key prefix that nobody else uses. */
export function uniquePrefix(): string {
  return `test-${randomUUID()}`
}
