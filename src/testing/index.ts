/** For authors of stores: the contract that every store keeps, as a suite of tests. */
export type { StoppableStore } from './silence-tests.ts'
export {
  type SkippableTest,
  type StoreContractOptions,
  storeContract,
  type TestRunner,
} from './store-contract.ts'
