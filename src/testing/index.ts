/** The contract of stores as a test suite, for authors of stores. */
export type { SkippableTest, StoppableStore, TestRunner } from './scene.ts'
export { type StoreContractOptions, storeContract } from './store-contract.ts'
