/** The block of a key as a record of a custom store: read before a key is decided, and swapped where a refusal starts a lock-out. */
import { type BlockLayer, blockStateIn, isBlocked, strike } from '../algorithms/block.ts'
import { type KeyBlock, withBlock } from '../algorithms/blockable.ts'
import type { RateLimitResult } from '../result.ts'
import { type Charge, decideIn, lookAtAll, type Outcome, refuses } from './charges.ts'
import type { Question, RecordAccess } from './record-store.ts'
import { type Cell, swap } from './swap-record.ts'

/** The record of a key's block. */
export interface BlockCell extends Cell {
  readonly layer: BlockLayer
}

/** A block as it was found, or left, at this time. */
export interface BlockFound extends KeyBlock {
  readonly now: number
}

export function blockIn(access: RecordAccess, question: Question, cell: BlockCell): Promise<BlockFound> {
  return changeBlock(access, question, cell, () => {})
}

/** Lets `change` change the block in place. Called again if another process was quicker. */
export function changeBlock(
  access: RecordAccess,
  question: Question,
  cell: BlockCell,
  change: (block: KeyBlock, now: number) => void,
): Promise<BlockFound> {
  const { layer } = cell
  return swap(access, question, cell, (found, now) => {
    const state = blockStateIn(found)
    const [until, strikes] = state
    change({ layer, state }, now)
    const answer = { layer, state, now }
    return state[0] === until && state[1] === strikes ? { answer } : { write: state, answer }
  })
}

function isBlockedNow(found: BlockFound | undefined): boolean {
  return found !== undefined && isBlocked(found.state, found.now)
}

export function blockedResult(result: RateLimitResult, found: BlockFound | undefined): RateLimitResult {
  return found === undefined ? result : withBlock(result, found, found.now)
}

/** A key that may be blocked, and what is asked of its records. */
export interface BlockableKey {
  readonly decider: { combined(outcomes: readonly Outcome[], quantity: number): RateLimitResult }
  readonly quantity: number
  readonly charges: readonly Charge[]
  /** `undefined`: this key cannot be blocked. */
  readonly block: BlockCell | undefined
}

export interface DecidedKey {
  readonly result: RateLimitResult
  readonly outcomes: readonly Outcome[]
}

/** Decides all or nothing. The blocks are read first, so one that begins afterwards refuses only later checks. */
export function decideRecordedBlockable(
  access: RecordAccess,
  keys: readonly BlockableKey[],
  signal?: AbortSignal,
): Promise<DecidedKey[]> {
  const charges = keys.flatMap((key) => key.charges)
  return access.ask(
    async (question) => {
      const found = await Promise.all(keys.map(({ block }) => block && blockIn(access, question, block)))
      const isHeld = keys.some(
        ({ charges: own }, index) => own.some(({ spends }) => spends) && isBlockedNow(found[index]),
      )
      const outcomes = await (isHeld ? lookAtAll : decideIn)(access, question, charges)
      const isRefused = !isHeld && outcomes.some(refuses)
      const decided: DecidedKey[] = []
      for (const [index, { decider, quantity, charges: own, block }] of keys.entries()) {
        const ofKey = outcomes.splice(0, own.length)
        const struck = isRefused ? await strikeIfRefused(access, question, block, ofKey) : undefined
        decided.push({
          result: blockedResult(decider.combined(ofKey, quantity), struck ?? found[index]),
          outcomes: ofKey,
        })
      }
      return decided
    },
    { signal },
  )
}

/** Starts a lock-out if the key's own layers have refused. Not if another refusal has just started one. */
async function strikeIfRefused(
  access: RecordAccess,
  question: Question,
  cell: BlockCell | undefined,
  outcomes: readonly Outcome[],
): Promise<BlockFound | undefined> {
  if (cell === undefined || cell.layer.lockout.length === 0) return undefined
  const isPayable = outcomes.every(({ charge, result }) => charge.spends && charge.needed <= result.limit)
  const whole = wholeAfter(outcomes, ({ needed }) => needed)
  if (!isPayable || whole < 0) return undefined
  return changeBlock(access, question, cell, ({ state, layer }, now) => {
    if (!isBlocked(state, now)) strike(state, layer, whole, now)
  })
}

/** µs until all layers that are short of what they need have their whole quota again. Below 0: none is. Permits are never counted as short. */
export function wholeAfter(outcomes: readonly Outcome[], neededIn: (charge: Charge) => number): number {
  return outcomes.reduce(
    (longest, { charge, result }) =>
      neededIn(charge) > result.remaining && !result.quota.isConcurrent
        ? Math.max(longest, Math.round(result.resetAfter * 1000))
        : longest,
    -1,
  )
}
