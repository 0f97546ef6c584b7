/** A store with a fault fails the test that is named for it; a store without one fails none. */
import type { BaseStore } from 'onrush'
import { type StoppableStore, storeContract, type TestRunner } from 'onrush/testing'
import { describe, expect, it } from 'vitest'
import { CaseFoldingStore } from '../support/stores/bad/case-folding.ts'
import { FailOpenStore } from '../support/stores/bad/fail-open.ts'
import { FifteenDigitsStore } from '../support/stores/bad/fifteen-digits.ts'
import { LiveRecordStore } from '../support/stores/bad/live-record.ts'
import { TimelessStore } from '../support/stores/bad/timeless.ts'
import { UnguardedSwapStore } from '../support/stores/bad/unguarded-swap.ts'
import { UsedOnlyStore } from '../support/stores/bad/used-only.ts'
import { WholeSecondsStore } from '../support/stores/bad/whole-seconds.ts'
import { TextDatabase, TextStore } from '../support/stores/text-store.ts'

interface Handles {
  readonly store: () => BaseStore
  readonly sharedStore?: () => BaseStore
  readonly stoppableStore?: () => StoppableStore
}

/** Which of the contract's tests fail, of all or of those named; one after another, for some of them watch the clock. */
async function failuresOf(handles: Handles, names?: readonly string[]): Promise<string[]> {
  const tests: { name: string; run: () => Promise<void> }[] = []
  const it: TestRunner['it'] = (name, run) => tests.push({ name, run })
  storeContract({ describe: (_, body) => body(), it }, { name: 'a store', ...handles })
  const failed: string[] = []
  for (const { name, run } of tests) {
    if (names === undefined || names.includes(name)) await run().catch(() => failed.push(name))
  }
  return failed
}

/** On a database that can be stopped. */
function stoppable(Store: typeof TextStore): StoppableStore {
  const database = new TextDatabase()
  const store = new Store(database, undefined, '500ms')
  return { store, stop: () => database.stop(), resume: () => database.resume() }
}

/** Two handles on one database. */
function sharing(Store: new (database: TextDatabase) => BaseStore): Handles {
  const database = new TextDatabase()
  const handle = (): BaseStore => new Store(database)
  return { store: handle, sharedStore: handle }
}

it('a store without a fault fails no test', async () => {
  const handles = { ...sharing(TextStore), stoppableStore: () => stoppable(TextStore) }
  expect(await failuresOf(handles)).toEqual([])
})

describe.each([
  {
    Store: UnguardedSwapStore,
    faults: [
      'of many swaps at once, exactly one succeeds',
      'loses no update when many read and swap at once',
      'GcraLimiter admits exactly the limit of many at once through two handles',
    ],
  },
  {
    Store: WholeSecondsStore,
    faults: ['a record is not forgotten before its ttl', 'what a limiter keeps is not forgotten while it counts'],
  },
  { Store: TimelessStore, faults: ['keeps every field, and leaves out what is missing', 'compares every field'] },
  {
    Store: FifteenDigitsStore,
    faults: ['keeps every number to its last bit', 'compares every number to its last bit'],
  },
  { Store: UsedOnlyStore, faults: ['compares every field'] },
  { Store: CaseFoldingStore, faults: ['keys of any characters have records of their own'] },
])('$Store.name', ({ Store, faults }) => {
  it(`fails: ${faults.join('; ')}`, async () => {
    expect(await failuresOf(sharing(Store), faults)).toEqual(faults)
  })
})

it('FailOpenStore fails: a check that is not answered fails, and nobody is admitted; ping tells that nothing is answered', async () => {
  const faults = ['a check that is not answered fails, and nobody is admitted', 'ping tells that nothing is answered']
  const handles = { ...sharing(FailOpenStore), stoppableStore: () => stoppable(FailOpenStore) }
  expect(await failuresOf(handles, faults)).toEqual(faults)
})

it('LiveRecordStore fails: a record that was handed out neither changes nor lets what is kept be changed', async () => {
  expect(await failuresOf({ store: () => new LiveRecordStore() })).toEqual([
    'a record that was handed out neither changes nor lets what is kept be changed',
  ])
})

it('options of a wrong type are refused', () => {
  const options = { name: 'a store', store: () => new LiveRecordStore() }
  const wrong = [
    [],
    [{}, options],
    [{ describe, it }],
    ...['name', 'store', 'sharedStore', 'storeWithClock', 'stoppableStore', 'close'].map((name) => [
      { describe, it },
      { ...options, [name]: 7 },
    ]),
  ]
  for (const given of wrong) expect(() => Reflect.apply(storeContract, undefined, given)).toThrow(TypeError)
})
