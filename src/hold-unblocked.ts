/** Holds permits of a key that may be blocked. The block is looked at before permits are asked for, and again after they were waited for. */
import { strikeIfShort } from './operations/block.ts'
import type { PermitDecider } from './permits/decider.ts'
import type { Decider } from './stores/decider.ts'
import type { Hold, PermitRequest } from './stores/desk.ts'
import { waitOffBlock } from './waiting.ts'

/**
 * Resolves with a hold, or with a limited result that holds nothing.
 * @param decider knows the block of the key
 */
export async function holdUnblocked(
  { desk, layers }: Pick<PermitDecider, 'desk' | 'layers'>,
  decider: Decider,
  key: string,
  request: PermitRequest,
  signal: AbortSignal | undefined,
): Promise<Hold> {
  const since = performance.now()
  const { maxWait } = request
  const left = () => (maxWait === undefined ? undefined : Math.max(0, maxWait - (performance.now() - since)))
  while (true) {
    const blocked = await waitOffBlock(decider, key, left() ?? 0, signal)
    if (blocked !== undefined) return { result: blocked, permit: undefined }
    const begun = await desk.begin(layers, key, { ...request, maxWait: left() }, signal)
    if (!('wait' in begun))
      return maxWait === undefined ? strikeIfRefused(decider, key, request, begun.hold) : begun.hold
    const hold = await begun.wait()
    if (hold.permit === undefined || decider.block === undefined) return hold
    const { blockedUntil } = await decider.check(key, 0)
    if (blockedUntil === undefined) return hold
    await hold.permit.cancel()
  }
}

/** Starts a lock-out if a rate, and not the permits, has refused. */
async function strikeIfRefused(decider: Decider, key: string, { quantity }: PermitRequest, hold: Hold): Promise<Hold> {
  const { layers } = hold.result
  const isRefused = layers.some(({ limited, quota }) => limited && !quota.isConcurrent)
  const isPayable = quantity > 0 && layers.every(({ limit }) => quantity <= limit)
  if (!hold.result.limited || !isRefused || !isPayable || !decider.block?.lockout.length) return hold
  const { result } = await decider.operate(key, strikeIfShort, quantity)
  return result.blockedUntil === undefined ? hold : { result, permit: undefined }
}
