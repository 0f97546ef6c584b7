/** What the client says when a command failed, as an error of ours. */
import { StoreError, StoreUnavailableError } from '../errors.ts'
import { withoutCommand } from './connection.ts'

export function unavailable(error: unknown): unknown {
  if (error instanceof StoreError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new StoreUnavailableError(`Redis could not decide: ${reason}`, { cause: withoutCommand(error) })
}
