/** A mock of `Date`, of any test framework. Times are in ms. */
export interface Mock {
  start(now: number): void
  advance(milliseconds: number): void
  stop(): void
}

type Onrush = Pick<
  typeof import('onrush'),
  'DictionaryStore' | 'FixedWindowLimiter' | 'GcraLimiter' | 'Quota' | 'Throttle' | 'TlruCacheStore'
>

const MINUTE = 60_000
const YEAR_2030 = Date.UTC(2030, 0)
const YEAR_2020 = Date.UTC(2020, 0)

/**
 * Some tests after another on the same stores, each of which mocks `Date` from a start of its own.
 * @returns what does not follow the mock; nothing, if all is well
 */
export function faultsUnder(mock: Mock, onrush: Onrush): string[] {
  const { DictionaryStore, FixedWindowLimiter, GcraLimiter, Quota, Throttle, TlruCacheStore } = onrush
  const faults: string[] = []
  const stores = [new DictionaryStore(), new TlruCacheStore({ maxSize: 10, ttl: '1h' })]
  const expectTrue = (truth: boolean, what: string) => {
    if (!truth) faults.push(what)
  }
  for (const store of stores) {
    const { name } = store.constructor
    const gcra = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(2) })
    const windows = new Throttle({ limiter: new FixedWindowLimiter({ store }), rate: Quota.perMinute(2) })
    gcra.checkSync('before', 2)
    for (const start of [YEAR_2030, YEAR_2020 + MINUTE / 2, YEAR_2030 + MINUTE / 4]) {
      const when = `${name}, from ${new Date(start).toISOString()}`
      mock.start(start)
      try {
        expectTrue(store.currentTime() === start * 1000, `${when}: the time is that of the mock`)
        expectTrue(!gcra.checkSync('key', 2).limited, `${when}: the test has all of its quota`)
        expectTrue(gcra.checkSync('key').retryAfter === MINUTE / 2, `${when}: then it has none`)
        const wait = MINUTE - (start % MINUTE)
        expectTrue(windows.checkSync('key', 2).resetAfter === wait, `${when}: windows end by the mock`)
        mock.advance(MINUTE / 2 - 1)
        expectTrue(gcra.checkSync('key').limited, `${when}: nothing comes back too early`)
        mock.advance(1)
        expectTrue(!gcra.checkSync('key').limited, `${when}: what the mock waits for comes back`)
      } finally {
        mock.stop()
      }
    }
    expectTrue(gcra.checkSync('after', 2).limited === false, `${name}: who comes after the mocks has all of its quota`)
    expectTrue(gcra.checkSync('after').retryAfter <= MINUTE / 2, `${name}: and waits as long as ever`)
    expectTrue(Math.abs(store.currentTime() / 1000 - Date.now()) < MINUTE, `${name}: time is steady time again`)
  }
  return faults
}
