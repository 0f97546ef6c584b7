/** Tells whoever listens what each call to Redis decided, and how long it took. */
import { batches } from '../../events.ts'
import { unavailable } from '../errors.ts'
import type { Batch } from './batch.ts'
import type { Call } from './encode.ts'

/** The same reply. */
export function observed<Reply>(batch: Batch, call: Call, reply: Promise<Reply>): Promise<Reply> {
  if (!batches.hasSubscribers) return reply
  const sentAt = performance.now()
  const checks = batch.entries.reduce((sum, { count }) => sum + count, 0)
  const keys = call.keys.length
  return reply.then(
    (answer) => {
      batches.publish({ checks, keys, duration: performance.now() - sentAt })
      return answer
    },
    (reason: unknown) => {
      const error = unavailable(reason)
      batches.publish({ checks, keys, duration: performance.now() - sentAt, error })
      throw error
    },
  )
}
