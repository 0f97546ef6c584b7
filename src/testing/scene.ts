/** Types that the suites of the contract share: the test runner, and the stores that each test gets. */
import type { BaseStore } from '../stores/base.ts'

/** The context that a runner passes to a test, as vitest and node:test do. */
export interface SkippableTest {
  /** Marks the test as skipped. */
  skip(reason?: string): unknown
}

/** `{ describe, it }` of vitest, node:test or a similar runner. */
export interface TestRunner {
  /** Groups the tests that `body` declares. */
  readonly describe: (name: string, body: () => void) => unknown
  /** Declares one test. */
  readonly it: (name: string, test: (context?: SkippableTest) => Promise<void>) => unknown
}

/** The stores that a test of the contract works with. */
export interface Scene {
  readonly store: BaseStore
  /** The second handle; `undefined` for a store that is not shared. */
  readonly shared: BaseStore | undefined
  /** Skips the test, because the contract does not require this of the store. */
  skip(reason: string): void
}

/** Declares one test. */
export type Declare = (name: string, test: (scene: Scene) => Promise<void>) => void

/** A store, and what the test may do to its server. */
export interface StoppableStore {
  /** The store under test. */
  readonly store: BaseStore
  /** Makes the server stop answering. */
  stop(): unknown
  /** Makes the server answer again. */
  resume(): unknown
}

/** Declares one test that stops the store's server. */
export type DeclareStoppable = (name: string, test: (stoppable: StoppableStore) => Promise<void>) => void
