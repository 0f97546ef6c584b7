/** For authors of stores: the contract that every store keeps, as a suite of tests. */
export type { SkippableTest, StoppableStore, TestRunner } from './scene.ts'
export { type StoreContractOptions, storeContract } from './store-contract.ts'
