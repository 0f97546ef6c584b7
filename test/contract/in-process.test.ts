/** The contract on in-process stores, and on custom stores with and without a `compareAndSwap`. */
import { DictionaryStore, TlruCacheStore } from 'onrush'
import { storeContract } from 'onrush/testing'
import { describe, it } from 'vitest'
import { MapStore } from '../support/stores/map-store.ts'
import { TextDatabase, TextStore } from '../support/stores/text-store.ts'

storeContract(
  { describe, it },
  {
    name: 'DictionaryStore',
    store: () => new DictionaryStore(),
    storeWithClock: (clock) => new DictionaryStore({ clock }),
  },
)

storeContract(
  { describe, it },
  {
    name: 'TlruCacheStore',
    store: () => new TlruCacheStore({ maxSize: 1000, ttl: '1h' }),
    storeWithClock: (clock) => new TlruCacheStore({ maxSize: 1000, ttl: '1h', clock }),
  },
)

storeContract(
  { describe, it },
  {
    name: 'a store that has only get and set',
    store: () => new MapStore(),
    storeWithClock: (clock) => new MapStore({ clock }),
  },
)

storeContract(
  { describe, it },
  {
    name: 'a store that swaps in one step',
    store: () => new TextStore(new TextDatabase()),
    sharedStore: ({ database }) => new TextStore(database),
    stoppableStore: () => {
      const database = new TextDatabase()
      return {
        store: new TextStore(database, undefined, '500ms'),
        stop: () => database.stop(),
        resume: () => database.resume(),
      }
    },
    storeWithClock: (clock) => new TextStore(new TextDatabase(() => clock() / 1000), clock),
  },
)
