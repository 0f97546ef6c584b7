/**
 * Holds permits of a key that may be blocked. The step that grants permits also refuses a blocked key. A caller who has waited for a permit, or for
 * a turn on the rates, looks at the block once more while the permit is held.
 */
import { heed } from './signals.ts'
import type { Decider } from './stores/decider.ts'
import type { Desk, HeldLayers, Hold, PermitRequest } from './stores/desk.ts'
import { waitOffBlock } from './waiting.ts'

/**
 * Resolves with a hold, or with a limited result that holds nothing.
 * @param decider looks at the block of the key
 */
export async function holdUnblocked(
  held: HeldLayers,
  desk: Desk,
  decider: Decider,
  key: string,
  request: PermitRequest,
  signal: AbortSignal | undefined,
): Promise<Hold> {
  const since = performance.now()
  const { maxWait } = request
  const left = () => Math.max(0, (maxWait ?? 0) - (performance.now() - since))
  while (true) {
    const begun = await desk.begin(held, key, maxWait === undefined ? request : { ...request, maxWait: left() }, signal)
    const hold = 'wait' in begun ? await unlessBlocked(await begun.wait(), decider, key, signal) : begun.hold
    if (maxWait === undefined || hold.result.blockedUntil === undefined) return hold
    const blocked = await waitOffBlock(decider, key, left(), signal)
    if (blocked !== undefined) return { result: blocked, permit: undefined }
  }
}

/** Ends a permit that was waited for if the key is blocked by now. */
async function unlessBlocked(
  hold: Hold,
  decider: Decider,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Hold> {
  const { permit } = hold
  if (permit === undefined || decider.block === undefined) return hold
  try {
    const result = await heed(decider.check(key, 0, signal), signal)
    if (result.blockedUntil === undefined) return hold
    await permit.cancel()
    return { result, permit: undefined }
  } catch (error) {
    permit.cancel().catch(() => {})
    throw error
  }
}
