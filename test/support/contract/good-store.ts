/** What a store's author writes to run the contract under node:test. */
import { describe, it } from 'node:test'
import { storeContract } from 'onrush/testing'
import { TextDatabase, TextStore } from '../stores/text-store.ts'

const database = new TextDatabase()

storeContract(
  { describe, it },
  { name: 'TextStore', store: () => new TextStore(database), sharedStore: () => new TextStore(database) },
)
