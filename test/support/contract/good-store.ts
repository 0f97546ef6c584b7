/** A test file as the author of a store writes it, to run the contract under node:test. */
import { describe, it } from 'node:test'
import { storeContract } from 'onrush/testing'
import { TextDatabase, TextStore } from '../stores/text-store.ts'

const database = new TextDatabase()

storeContract(
  { describe, it },
  { name: 'TextStore', store: () => new TextStore(database), sharedStore: () => new TextStore(database) },
)
