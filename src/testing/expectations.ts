/** Assertions of the contract, with messages for authors of stores. */
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

/** Fails unless there is no record, or only the empty one that `BaseStore.delete` leaves. */
export function expectNoRecord(actual: LimitData | undefined, what: string): void {
  const empty = new LimitData({ used: 0, remaining: 0, createdAt: 0 })
  assert.ok(actual === undefined || empty.equals(actual), `${what}: found ${JSON.stringify(actual)}`)
}

/** The error thrown or rejected with because `old` is stale. */
export async function mismatch(swap: () => LimitData | Promise<LimitData>): Promise<MismatchedDataError> {
  try {
    await swap()
  } catch (error) {
    assert.ok(error instanceof MismatchedDataError, `expected a MismatchedDataError, got ${String(error)}`)
    return error
  }
  assert.fail('a stale record was swapped; expected a MismatchedDataError')
}

/** Allowed difference between two clocks, in ms, because clocks tick in whole milliseconds and drift. */
const TOLERANCE = 10

/**
 * Runs `test` repeatedly until `milliseconds` after `since`. Each run that ends before then must pass.
 * @param since the value of `performance.now()` before the record or state that must last was written
 */
export async function expectUntil(since: number, milliseconds: number, test: () => Promise<() => void>): Promise<void> {
  const end = since + milliseconds - TOLERANCE
  while (performance.now() < end) {
    const expectation = await test()
    if (performance.now() < end) expectation()
    await sleep(10)
  }
}

/** True for a store with its own `compareAndSwap`. The default one is safe only behind the limiters' queue. */
export function swapsItself(store: BaseStore): boolean {
  return store.compareAndSwap !== BaseStore.prototype.compareAndSwap
}

function fieldsOf({ used, remaining, createdAt, time, history }: LimitData): unknown {
  return { used, remaining, createdAt, time, history: history === undefined ? undefined : [...history] }
}
