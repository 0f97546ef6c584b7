/** What the tests of the contract expect, in words for whoever writes a store. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { MismatchedDataError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import { BaseStore } from '../stores/base.ts'

/** Fails unless `actual` is a record that equals `expected` in every field and bit. */
export function expectRecord(actual: LimitData | undefined, expected: LimitData, what: string): void {
  assert.ok(actual !== undefined, `${what}: there is no record`)
  assert.ok(actual instanceof LimitData, `${what}: it is no LimitData; LimitData.fromJSON makes one`)
  assert.deepEqual(fieldsOf(actual), fieldsOf(expected), what)
}

/** Fails unless nothing is there, or what `BaseStore.delete` leaves behind. */
export function expectNoRecord(actual: LimitData | undefined, what: string): void {
  const empty = new LimitData({ used: 0, remaining: 0, createdAt: 0 })
  assert.ok(actual === undefined || empty.equals(actual), `${what}: found ${JSON.stringify(actual)}`)
}

/** What is thrown or rejected with when `old` is stale. */
export async function mismatch(swap: () => LimitData | Promise<LimitData>): Promise<MismatchedDataError> {
  try {
    await swap()
  } catch (error) {
    assert.ok(error instanceof MismatchedDataError, `expected a MismatchedDataError, got ${String(error)}`)
    return error
  }
  assert.fail('a stale record was swapped; expected a MismatchedDataError')
}

/** Clocks tick in whole milliseconds, and none goes quite as fast as another. */
const TOLERANCE = 10

/**
 * Asks again and again until `milliseconds` after `since`; `test` must pass whenever it has ended before that.
 * @param since what `performance.now()` said before that which is to last began
 */
export async function expectUntil(since: number, milliseconds: number, test: () => Promise<() => void>): Promise<void> {
  const end = since + milliseconds - TOLERANCE
  while (performance.now() < end) {
    const expectation = await test()
    if (performance.now() < end) expectation()
    await sleep(10)
  }
}

/** True for a store with a `compareAndSwap` of its own. The default is safe behind the limiters' queue only. */
export function swapsItself(store: BaseStore): boolean {
  return store.compareAndSwap !== BaseStore.prototype.compareAndSwap
}

function fieldsOf({ used, remaining, createdAt, time, history }: LimitData): unknown {
  return { used, remaining, createdAt, time, history: history === undefined ? undefined : [...history] }
}
