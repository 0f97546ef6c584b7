/** The contract on the example of a custom store, with a real memcached. */

import { storeContract } from 'onrush/testing'
import { describe, it } from 'vitest'
import { MemcachedStore } from '../../examples/memcached-store/memcached-store.ts'
import { startMemcached } from '../support/servers/memcached.ts'

// It ends with this process.
const server = await startMemcached()
const { port } = server
const open = (): MemcachedStore => new MemcachedStore({ host: '127.0.0.1', port, timeout: 20_000 })

storeContract(
  { describe, it },
  {
    name: 'MemcachedStore',
    store: open,
    sharedStore: open,
    stoppableStore: () => ({
      store: new MemcachedStore({ host: '127.0.0.1', port, timeout: 1000 }),
      stop: () => server.pause(),
      resume: () => server.resume(),
    }),
  },
)
