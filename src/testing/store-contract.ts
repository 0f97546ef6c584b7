/** The contract of stores as a test suite, for any runner with `describe` and `it`. */
import { checkFunction, checkOptions, checkText } from '../arguments.ts'
import type { Clock } from '../clock.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { BaseStore } from '../stores/base.ts'
import { limiterTests } from './limiter-tests.ts'
import { recordTests } from './record-tests.ts'
import type { Declare, StoppableStore, TestRunner } from './scene.ts'
import { silenceTests } from './silence-tests.ts'
import { swapTests } from './swap-tests.ts'
import { timeTests } from './time-tests.ts'

/** The stores to test, and the name of the suite. */
export interface StoreContractOptions<Store extends BaseStore = BaseStore> {
  /** The name of the suite. */
  readonly name: string
  /** Makes a store; called once for each test. It need not be empty: every test has keys of its own. */
  readonly store: () => Store | Promise<Store>
  /** A second handle on the data of `store`, as another process would have it; for stores that many processes share. */
  readonly sharedStore?: ((store: Store) => BaseStore | Promise<BaseStore>) | undefined
  /** Makes a store that uses the given clock (µs since the epoch); for stores that accept a clock. */
  readonly storeWithClock?: ((clock: Clock) => BaseStore | Promise<BaseStore>) | undefined
  /**
   * Makes a store whose server the test can stop; called once for each test that does. Give the store a short `timeout`, because the
   * tests wait until it has passed.
   */
  readonly stoppableStore?: (() => StoppableStore | Promise<StoppableStore>) | undefined
  /** Called with each store after its test. Default: calls the store's `close`. */
  readonly close?: ((store: BaseStore) => void | Promise<void>) | undefined
}

const OPTIONS = optionNames<StoreContractOptions>({
  name: true,
  store: true,
  sharedStore: true,
  storeWithClock: true,
  stoppableStore: true,
  close: true,
})

/**
 * Declares the suite. The suite takes some seconds, because it waits to see that records last.
 * @throws TypeError for options of a wrong type
 */
export function storeContract<Store extends BaseStore>(runner: TestRunner, options: StoreContractOptions<Store>): void {
  checkOptions('runner', runner)
  checkOptionNames('options of storeContract', options, OPTIONS)
  const { name, store: open, sharedStore, storeWithClock, stoppableStore, close = (store) => store.close() } = options
  const { describe, it } = runner
  checkText('name', name)
  for (const [what, value] of Object.entries({ describe, it, store: open, close })) checkFunction(what, value)
  if (sharedStore !== undefined) checkFunction('sharedStore', sharedStore)
  if (storeWithClock !== undefined) checkFunction('storeWithClock', storeWithClock)
  if (stoppableStore !== undefined) checkFunction('stoppableStore', stoppableStore)

  const declare: Declare = (title, test) => {
    // The default keeps the function's `length` at 0, because some runners treat a parameter as a done callback.
    it(title, async (context = undefined) => {
      const opened: BaseStore[] = []
      try {
        const store = await open()
        opened.push(store)
        const shared = await sharedStore?.(store)
        if (shared !== undefined) opened.push(shared)
        await test({ store, shared, skip: (reason) => context?.skip(reason) })
      } finally {
        for (const each of opened) await close(each)
      }
    })
  }

  describe(`${name} keeps the contract of stores`, () => {
    describe('records', () => recordTests(declare, sharedStore !== undefined))
    describe('compareAndSwap', () => swapTests(declare, sharedStore !== undefined))
    describe('limiters', () => limiterTests(declare, sharedStore !== undefined))
    if (stoppableStore !== undefined) {
      describe('a server that does not answer', () => {
        silenceTests((title, test) => {
          it(title, async (_context = undefined) => {
            const stoppable = await stoppableStore()
            try {
              await test(stoppable)
            } finally {
              await close(stoppable.store)
            }
          })
        })
      })
    }
    if (storeWithClock !== undefined) {
      describe('time', () => {
        timeTests((title, test) => {
          it(title, async (_context = undefined) => {
            const time = { now: 1_700_000_000_000_000 }
            const store = await storeWithClock(() => time.now)
            try {
              await test(store, time)
            } finally {
              await close(store)
            }
          })
        })
      })
    }
  })
}
