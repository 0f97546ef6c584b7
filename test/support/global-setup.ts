/** Runs once before all tests: finds the Redis server, or installs it, and tells the workers where it is. */
import { findRedisServer } from './servers/find-server.ts'

export async function setup(): Promise<void> {
  process.env.ONRUSH_REDIS_SERVER = await findRedisServer()
}
