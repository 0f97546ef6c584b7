/** Tests `compareAndSwap`: only a caller who has read the current record may replace it, however many try at once. */
import assert from 'node:assert/strict'
import { MismatchedDataError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import type { BaseStore } from '../stores/base.ts'
import { expectRecord, expectUntil, mismatch, swapsItself } from './expectations.ts'
import { freshKey, NUMBERS, recordOf } from './samples.ts'
import type { Declare, Scene } from './scene.ts'

const FULL = new LimitData({ used: 1, remaining: 2, createdAt: 3, time: 4, history: [5, 6] })

/** Records that differ from `FULL` in one field each. */
const DIFFERENT: readonly LimitData[] = [
  FULL.copyWith({ used: 9 }),
  FULL.copyWith({ remaining: 9 }),
  FULL.copyWith({ createdAt: 9 }),
  FULL.copyWith({ time: 9 }),
  FULL.copyWith({ time: undefined }),
  FULL.copyWith({ history: [5, 9] }),
  FULL.copyWith({ history: [5] }),
  FULL.copyWith({ history: [5, 6, 7] }),
  FULL.copyWith({ history: [6, 5] }),
  FULL.copyWith({ history: [] }),
  FULL.copyWith({ history: undefined }),
]

/** The most tries of one caller: more than six concurrent callers can make each other lose. */
const MAXIMUM_TRIES = 1000

const UNSAFE = 'the default compareAndSwap is safe behind the limiters’ queue only'

export function swapTests(it: Declare, isShared: boolean): void {
  it('puts a record where there was none, and only there', async ({ store }) => {
    const key = freshKey()
    expectRecord(await store.compareAndSwap(key, undefined, recordOf(1)), recordOf(1), 'what it answers')
    expectRecord(await store.get(key), recordOf(1), 'what is kept')
    const { expected, actual } = await mismatch(() => store.compareAndSwap(key, undefined, recordOf(2)))
    assert.equal(expected, undefined)
    expectRecord(actual, recordOf(1), 'what the error says it found')
    expectRecord(await store.get(key), recordOf(1), 'what is kept')
  })

  it('replaces the record that was read', async ({ store }) => {
    const key = freshKey()
    await store.set(key, recordOf(0))
    for (let used = 1; used <= 5; used++) {
      const read = await store.get(key)
      expectRecord(await store.compareAndSwap(key, read, recordOf(used), 60_000), recordOf(used), 'what it answers')
      expectRecord(await store.get(key), recordOf(used), 'what is kept')
    }
  })

  it('refuses a stale record, says what it found, and changes nothing', async ({ store }) => {
    const key = freshKey()
    await store.set(key, recordOf(1))
    const { expected, actual } = await mismatch(() => store.compareAndSwap(key, recordOf(2), recordOf(3)))
    expectRecord(expected, recordOf(2), 'what the error says was expected')
    expectRecord(actual, recordOf(1), 'what the error says it found')
    expectRecord(await store.get(key), recordOf(1), 'what is kept')
    const missing = await mismatch(() => store.compareAndSwap(freshKey(), recordOf(1), recordOf(2)))
    assert.equal(missing.actual, undefined)
  })

  it('compares every field', async ({ store }) => {
    for (const other of DIFFERENT) {
      const key = freshKey()
      await store.set(key, FULL)
      await mismatch(() => store.compareAndSwap(key, other, recordOf(1)))
      await store.set(key, other)
      await mismatch(() => store.compareAndSwap(key, FULL, recordOf(1)))
      await store.compareAndSwap(key, other, FULL)
      expectRecord(await store.get(key), FULL, `swapped for ${JSON.stringify(other)}`)
    }
  })

  it('compares every number to its last bit', async ({ store }) => {
    for (const number of NUMBERS.filter((each) => Number.isFinite(each * (1 + Number.EPSILON)))) {
      const near = number === 0 ? Number.MIN_VALUE : number * (1 + Number.EPSILON)
      if (near === number) continue
      const key = freshKey()
      await store.set(key, recordOf(number))
      await mismatch(() => store.compareAndSwap(key, recordOf(near), recordOf(1)))
      await store.compareAndSwap(key, recordOf(number), recordOf(near))
      expectRecord(await store.get(key), recordOf(near), `next to ${number}`)
    }
  })

  it('keeps the new record for the new ttl', async ({ store }) => {
    const [fresh, replaced] = [freshKey(), freshKey()]
    await store.set(replaced, recordOf(1), 100)
    const since = performance.now()
    await store.compareAndSwap(fresh, undefined, recordOf(2), 1300)
    const old = await store.get(replaced)
    await store.compareAndSwap(replaced, old, recordOf(2), 1300)
    await expectUntil(since, 1300, async () => {
      const found = [await store.get(fresh), await store.get(replaced)]
      return () => {
        for (const record of found) expectRecord(record, recordOf(2), 'swapped in for 1300 ms')
      }
    })
  })

  it('of many swaps at once, exactly one succeeds', async (scene) => {
    if (!swapsItself(scene.store)) return scene.skip(UNSAFE)
    for (let round = 0; round < 5; round++) {
      const key = freshKey()
      const old = round % 2 === 0 ? undefined : await scene.store.set(key, recordOf(0))
      const swaps = Array.from({ length: 20 }, (_, index) =>
        outcome(handle(scene, index), key, old, recordOf(index + 1)),
      )
      const won = (await Promise.all(swaps)).filter((record) => record !== undefined)
      assert.equal(won.length, 1, `${won.length} of 20 swaps at once succeeded`)
      expectRecord(await scene.store.get(key), won[0] ?? recordOf(0), 'what is kept is what succeeded')
    }
  })

  it('loses no update when many read and swap at once', async (scene) => {
    if (!swapsItself(scene.store)) return scene.skip(UNSAFE)
    const key = freshKey()
    await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        for (let times = 0; times < 8; times++) await increment(handle(scene, index), key)
      }),
    )
    assert.equal((await scene.store.get(key))?.used, 48, 'units of 48 updates by 6 at once')
  })

  if (!isShared) return

  it('is written by the store itself, for it is shared', async ({ store }) => {
    assert.ok(swapsItself(store), `${UNSAFE}; a store that many processes share overrides it`)
  })
}

/** The two handles alternately, or the only one. */
function handle({ store, shared }: Scene, index: number): BaseStore {
  return index % 2 === 1 && shared !== undefined ? shared : store
}

/** The new record. `undefined`: the swap was refused. */
async function outcome(
  store: BaseStore,
  key: string,
  old: LimitData | undefined,
  data: LimitData,
): Promise<LimitData | undefined> {
  try {
    return await store.compareAndSwap(key, old, data)
  } catch (error) {
    if (error instanceof MismatchedDataError) return undefined
    throw error
  }
}

async function increment(store: BaseStore, key: string): Promise<void> {
  for (let tries = 0; tries < MAXIMUM_TRIES; tries++) {
    const old = await store.get(key)
    if ((await outcome(store, key, old, recordOf((old?.used ?? 0) + 1))) !== undefined) return
  }
  assert.fail(`${MAXIMUM_TRIES} swaps of a record that had just been read were refused`)
}
