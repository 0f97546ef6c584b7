/** Tests `get`, `set` and `delete`: a record stays, whole and exact, until its time to live ends. */
import assert from 'node:assert/strict'
import { LimitData } from '../limit-data.ts'
import { BaseStore } from '../stores/base.ts'
import { expectNoRecord, expectRecord, expectUntil } from './expectations.ts'
import { freshKey, KEYS, NUMBERS, RECORDS, recordOf } from './samples.ts'
import type { Declare } from './scene.ts'

const DAY = 86_400_000

/** Short times to live in ms, on both sides of whole seconds, because some servers round to seconds. */
const SHORT = [40, 250, 990, 1010, 1700]

/** Long times to live. memcached reads more than 30 days as a date, timers end at 25 days, and 32-bit seconds end in 2038. */
const LONG = [1, 24.9, 30, 31, 400, 36_525].map((days) => days * DAY)

export function recordTests(it: Declare, isShared: boolean): void {
  it('a key that was never set has no record', async ({ store }) => {
    assert.equal(await store.get(freshKey()), undefined)
  })

  it('set answers with the record, and get with an equal one', async ({ store }) => {
    const key = freshKey()
    expectRecord(await store.set(key, recordOf(1)), recordOf(1), 'what set answers')
    expectRecord(await store.get(key), recordOf(1), 'what get answers')
  })

  it('keeps every field, and leaves out what is missing', async ({ store }) => {
    for (const record of RECORDS) {
      const key = freshKey()
      await store.set(key, record, 60_000)
      expectRecord(await store.get(key), record, JSON.stringify(record).slice(0, 100))
    }
  })

  it('keeps every number to its last bit', async ({ store }) => {
    for (const [index, number] of NUMBERS.entries()) {
      const key = freshKey()
      const other = NUMBERS[NUMBERS.length - 1 - index] ?? 0
      const record = new LimitData({ used: number, remaining: other, createdAt: number, time: other, history: NUMBERS })
      await store.set(key, record, 60_000)
      expectRecord(await store.get(key), record, `the numbers ${number} and ${other}`)
    }
  })

  it('a later set replaces the whole record', async ({ store }) => {
    const key = freshKey()
    for (const record of RECORDS) {
      await store.set(key, record)
      expectRecord(await store.get(key), record, 'the record set last')
    }
  })

  it('a record that was handed out neither changes nor lets what is kept be changed', async ({ store }) => {
    const key = freshKey()
    const kept = recordOf(1)
    const handedOut = [await store.set(key, recordOf(1)), await store.get(key)]
    for (const record of handedOut) {
      assert.ok(record !== undefined)
      // Has no effect on a frozen record, which is what the test proves.
      for (const field of ['used', 'remaining', 'createdAt', 'time']) Reflect.set(record, field, 99)
      if (record.history !== undefined) Reflect.set(record.history, 0, 99)
      expectRecord(await store.get(key), kept, 'what is kept after a record that was handed out was changed')
    }
    const before = await store.get(key)
    await store.set(key, recordOf(2))
    expectRecord(before, kept, 'a record that was handed out before another was set')
  })

  it('a record is not forgotten before its ttl', async ({ store }) => {
    await Promise.all(
      SHORT.map(async (ttl, index) => {
        const key = freshKey()
        const since = performance.now()
        await store.set(key, recordOf(index), ttl)
        await expectUntil(since, ttl, async () => {
          const found = await store.get(key)
          const age = performance.now() - since
          return () => expectRecord(found, recordOf(index), `set for ${ttl} ms, ${age} ms ago`)
        })
      }),
    )
  })

  it('a record may live for days, years, or parts of a millisecond', async ({ store }) => {
    for (const ttl of [...LONG, 60_000.5]) {
      const key = freshKey()
      await store.set(key, recordOf(1), ttl)
      expectRecord(await store.get(key), recordOf(1), `set for ${ttl / DAY} days`)
    }
    await store.set(freshKey(), recordOf(1), 0.5)
  })

  it('a later set without a ttl, or with a longer one, keeps the record longer', async ({ store }) => {
    const [forEver, longer] = [freshKey(), freshKey()]
    const since = performance.now()
    await Promise.all([store.set(forEver, recordOf(1), 30), store.set(longer, recordOf(1), 30)])
    await Promise.all([store.set(forEver, recordOf(2)), store.set(longer, recordOf(2), 60_000)])
    await expectUntil(since, 1500, async () => () => {})
    expectRecord(await store.get(forEver), recordOf(2), 'set without a ttl over one with 30 ms')
    expectRecord(await store.get(longer), recordOf(2), 'set for a minute over one with 30 ms')
  })

  it('delete forgets the record and no other', async ({ store }) => {
    const [key, other] = [freshKey(), freshKey()]
    await store.set(key, recordOf(1))
    await store.set(other, recordOf(2))
    await store.delete(key)
    expectNoRecord(await store.get(key), 'a deleted record')
    await store.delete(freshKey())
    expectRecord(await store.get(other), recordOf(2), 'another record')
    await store.set(key, recordOf(3))
    expectRecord(await store.get(key), recordOf(3), 'a record set anew')
  })

  it('keys of any characters have records of their own', async ({ store }) => {
    for (const [index, key] of KEYS.entries()) await store.set(key, recordOf(index), 60_000)
    for (const [index, key] of KEYS.entries()) {
      expectRecord(await store.get(key), recordOf(index), `the key ${JSON.stringify(key.slice(0, 300))}`)
    }
    for (const key of KEYS) await store.delete(key)
    for (const key of KEYS) expectNoRecord(await store.get(key), `the deleted key ${JSON.stringify(key.slice(0, 300))}`)
  })

  it('currentTime is whole microseconds and does not go back', async ({ store }) => {
    let latest = 0
    for (let count = 0; count < 20; count++) {
      const now = await store.currentTime()
      assert.ok(Number.isSafeInteger(now) && now > 0, `expected whole microseconds since 1970, got ${now}`)
      assert.ok(now >= latest, `time went back from ${latest} to ${now}`)
      latest = now
    }
  })

  it('ping says that the store can be reached', async ({ store }) => {
    assert.equal(await store.ping(), true)
  })

  it('reset forgets every record', async ({ store, skip }) => {
    if (store.reset === BaseStore.prototype.reset) return skip('this store does not offer reset()')
    const keys = Array.from({ length: 30 }, freshKey)
    for (const key of keys) await store.set(key, recordOf(1))
    await store.reset()
    for (const key of keys) assert.equal(await store.get(key), undefined)
  })

  if (!isShared) return

  it('another handle sees what was set and deleted', async ({ store, shared }) => {
    assert.ok(shared !== undefined)
    const key = freshKey()
    await store.set(key, recordOf(1))
    expectRecord(await shared.get(key), recordOf(1), 'read through another handle')
    await shared.set(key, recordOf(2))
    expectRecord(await store.get(key), recordOf(2), 'set through another handle')
    await shared.delete(key)
    expectNoRecord(await store.get(key), 'deleted through another handle')
  })
}
