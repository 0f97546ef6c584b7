/** What the suites of the contract share: the runner that they are declared to, and what each test works with. */
import type { BaseStore } from '../stores/base.ts'

/** What the runner hands to a test; vitest's and node:test's contexts both are such. */
export interface SkippableTest {
  /** Marks the test as skipped. */
  skip(reason?: string): unknown
}

/** `{ describe, it }` of vitest, of node:test, or of another runner like them. */
export interface TestRunner {
  /** Groups the tests that `body` declares. */
  readonly describe: (name: string, body: () => void) => unknown
  /** Declares one test. */
  readonly it: (name: string, test: (context?: SkippableTest) => Promise<void>) => unknown
}

/** What a test of the contract works with. */
export interface Scene {
  readonly store: BaseStore
  /** The second handle; `undefined` for a store that is not shared. */
  readonly shared: BaseStore | undefined
  /** Says that the contract asks nothing of this store here. */
  skip(reason: string): void
}

/** Declares one test. */
export type Declare = (name: string, test: (scene: Scene) => Promise<void>) => void

/** A store, and what the test may do to its server. */
export interface StoppableStore {
  /** The store under test. */
  readonly store: BaseStore
  /** From now on nothing is answered. */
  stop(): unknown
  /** Answers again. */
  resume(): unknown
}

/** Declares one test on a store whose server it stops. */
export type DeclareStoppable = (name: string, test: (stoppable: StoppableStore) => Promise<void>) => void
