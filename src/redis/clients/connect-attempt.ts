/** Waiting for an ioredis client to connect: one promise, shared by all stores on the client. */
import { ConnectionEvents } from './connection-events.ts'
import type { IoredisClient } from './ioredis-shape.ts'

const attempts = new WeakMap<IoredisClient, Promise<void>>()

const EVENTS = ['ready', 'close', 'end'] as const

/** Resolves when the client is ready, or its attempt to connect has failed. */
export function connectAttempt(client: IoredisClient): Promise<void> {
  const known = attempts.get(client)
  if (known !== undefined) return known
  const events = ConnectionEvents.of(client)
  const attempt = new Promise<void>((resolve) => {
    const end = (): void => {
      for (const event of EVENTS) events.off(event, end)
      attempts.delete(client)
      resolve()
    }
    for (const event of EVENTS) events.on(event, end)
  })
  attempts.set(client, attempt)
  return attempt
}
