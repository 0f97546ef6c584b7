/** A failover store over a primary whose faults a test chooses, and its states as they begin. */
import { EventEmitter, once } from 'node:events'
import { DictionaryStore, type FailoverChange, FailoverStore, type FailoverStoreOptions } from 'onrush'
import { onTestFinished } from 'vitest'
import { FlakyStore } from '../stores/flaky-store.ts'

export interface Watched {
  readonly primary: FlakyStore
  readonly store: FailoverStore
  /** Resolves when this state has begun. */
  until(state: FailoverChange['state']): Promise<void>
}

/** Closed when the test is over. */
export function watched(
  breaker: FailoverStoreOptions['breaker'],
  onChange?: () => unknown,
  fallback: FailoverStoreOptions['fallback'] = new DictionaryStore(),
): Watched {
  const primary = new FlakyStore()
  const states = new EventEmitter()
  const store = new FailoverStore({
    primary,
    fallback,
    breaker,
    onChange: ({ state }) => {
      states.emit(state)
      return onChange?.()
    },
  })
  onTestFinished(() => store.close())
  return {
    primary,
    store,
    until: async (state) => {
      if (store.state !== state) await once(states, state)
    },
  }
}
