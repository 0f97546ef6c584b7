/** When a primary is asked, when it is only probed, and what that must not disturb. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import {
  DictionaryStore,
  type FailoverChange,
  FailoverStore,
  type FailoverStoreOptions,
  UnsupportedServerError,
} from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { throttleOn } from '../support/failover/suite.ts'
import { FlakyStore } from '../support/stores/flaky-store.ts'

interface Watched {
  readonly primary: FlakyStore
  readonly store: FailoverStore
  /** Resolves when this state has begun. */
  until(state: FailoverChange['state']): Promise<void>
}

function watched(
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

test('only failures in a row open it', async () => {
  const { primary, store } = watched({ failures: 3, cooldown: 60_000 })
  const throttle = throttleOn(store)
  for (const away of [true, true, false, true, true]) {
    primary.away = away
    expect((await throttle.check('ada')).degraded).toBe(away)
    expect(store.state).toBe('closed')
  }
  await throttle.check('ada')
  expect(store.state).toBe('open')
})

test('an error that is none of a store is the caller’s, and no failure', async () => {
  const { primary, store } = watched({ failures: 1, cooldown: 60_000 })
  primary.error = new Error('a typing mistake in the store')
  primary.away = true
  await expect(throttleOn(store).check('ada')).rejects.toBe(primary.error)
  expect(store.state).toBe('closed')
})

test('a server that can never decide is a fault of the configuration, which the caller is told, and no failure', async () => {
  const { primary, store } = watched({ failures: 1, cooldown: 60_000 })
  primary.error = new UnsupportedServerError('Redis 2.4 has no scripts')
  primary.away = true
  await expect(throttleOn(store).check('ada')).rejects.toBe(primary.error)
  expect(store.state).toBe('closed')
})

test('while it is open the primary is not asked, in whatever way the store is', async () => {
  const { primary, store } = watched({ failures: 1, cooldown: 60_000 })
  const throttle = throttleOn(store)
  primary.away = true
  await throttle.check('ada')
  const { asked } = primary
  for (let count = 0; count < 1000; count++) await throttle.check('ada')
  await throttle.clear('ada')
  await throttle.refund('ada')
  await throttle.reserve('ada')
  await throttle.acquire('ada')
  await store.get('record')
  await store.delete('record')
  await store.ping()
  expect(primary.asked).toBe(asked)
})

test('it closes by itself, though nobody asks for anything', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  await until('half-open')
  await until('open')
  primary.away = false
  await until('closed')
  expect((await throttleOn(store).check('ada')).degraded).toBe(false)
})

test('what was asked before the outage and fails after it opens nothing', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  const throttle = throttleOn(store)
  let release = (): void => {}
  primary.gate = new Promise((resolve) => {
    release = resolve
  })
  primary.away = true
  const late = throttle.check('late')
  await turn()
  expect(primary.asked).toBe(1)
  primary.gate = undefined
  await throttle.check('ada')
  primary.away = false
  await until('closed')
  release()
  expect((await late).degraded).toBe(true)
  expect(store.state).toBe('closed')
})

test('a primary that answers pings and cannot decide stays open', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.ping = () => Promise.resolve(true)
  primary.away = true
  await throttleOn(store).check('ada')
  await until('half-open')
  await until('open')
  expect(store.state).toBe('open')
})

test('a primary that can be read and not written stays open', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.readOnly = true
  await throttleOn(store).check('ada')
  await until('half-open')
  await until('open')
  expect(store.state).toBe('open')
})

test('whatever a probe fails by, the primary has not decided', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  primary.error = new Error('a typing mistake in the store')
  await until('half-open')
  await until('open')
  expect(store.state).toBe('open')
})

test('a probe that finds a wrong configuration closes it, so that callers are told of that', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  primary.error = new UnsupportedServerError('Redis 2.4 has no scripts')
  await until('closed')
  await expect(throttleOn(store).check('ada')).rejects.toBe(primary.error)
})

test('each probe that fails doubles the cooldown, up to maxCooldown', async () => {
  const cooldowns: number[] = []
  const primary = new FlakyStore()
  const store = new FailoverStore({
    primary,
    fallback: 'deny',
    breaker: { failures: 1, cooldown: 40, maxCooldown: '100ms' },
    onChange: async ({ state }) => {
      if (state === 'open') cooldowns.push((await throttleOn(store).peek('ada')).retryAfter)
    },
  })
  onTestFinished(() => store.close())
  primary.away = true
  await throttleOn(store).check('ada')
  await expect.poll(() => cooldowns.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(5)
  const [first = 0, second = 0, ...later] = cooldowns
  // The time between the opening and this question has been subtracted.
  expect(first).toBeLessThanOrEqual(40)
  expect(second).toBeGreaterThan(40)
  expect(second).toBeLessThanOrEqual(80)
  for (const cooldown of later) {
    expect(cooldown).toBeGreaterThan(80)
    expect(cooldown).toBeLessThanOrEqual(100)
  }
})

test('a primary that decides probes and then fails its callers is left alone for longer each time', async () => {
  const { primary, store, until } = watched({ failures: 2, cooldown: 20 }, undefined, 'deny')
  const throttle = throttleOn(store)
  const fail = async (): Promise<number> => {
    primary.away = true
    await throttle.check('ada')
    await throttle.check('ada')
    const { retryAfter } = await throttle.check('ada')
    primary.away = false
    return retryAfter
  }
  for (const cooldown of [20, 40, 80]) {
    const openedAt = performance.now()
    expect(await fail()).toBeLessThanOrEqual(cooldown)
    await until('closed')
    // Timers fire up to 1 ms early.
    expect(performance.now() - openedAt).toBeGreaterThan(cooldown - 2)
  }
  // An answer, and some time without an outage, and all is as at first.
  await throttle.check('ada')
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(await fail()).toBeLessThanOrEqual(20)
})

test('a probe asks about a key that the primary has failed on, under a name of its own', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  primary.away = false
  await until('closed')
  expect(primary.keys()).toEqual(['{ada}:gcra:onrush-probe-1s'])
  expect((await throttleOn(store).peek('ada')).remaining).toBe(10)
})

test('a refusal that the primary decided ends a row of failures, as any answer does', async () => {
  const { primary, store } = watched({ failures: 2, cooldown: 60_000 })
  const throttle = throttleOn(store)
  await throttle.check('greedy', 10)
  for (let count = 0; count < 4; count++) {
    primary.away = true
    expect((await throttle.check('ada')).degraded).toBe(true)
    primary.away = false
    expect(await throttle.check('greedy')).toMatchObject({ limited: true, degraded: false })
  }
  expect(store.state).toBe('closed')
})

test('a closed store probes no more', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  await until('half-open')
  await until('open')
  await store.close()
  const { asked } = primary
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(primary.asked).toBe(asked)
})

test('probes hold nothing of the request that came last before the outage', async () => {
  const requests = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 }, () => seen.push(requests.getStore()))
  primary.away = true
  await requests.run('a request', () => throttleOn(store).check('ada'))
  primary.away = false
  await until('closed')
  expect(seen).toEqual(['a request', undefined, undefined])
})

test.each([
  [
    'throws',
    () => {
      throw new Error('no disk left for the log')
    },
  ],
  ['rejects', () => Promise.reject(new Error('no disk left for the log'))],
])('a listener that %s becomes a warning, not a failed check', async (_, onChange) => {
  const warned = once(process, 'warning')
  const { primary, store } = watched({ failures: 1, cooldown: 60_000 }, onChange)
  primary.away = true
  expect((await throttleOn(store).check('ada')).degraded).toBe(true)
  const [warning] = await warned
  expect(warning).toMatchObject({ code: 'ONRUSH_ON_CHANGE_FAILED' })
  expect(warning.message).toContain('no disk left for the log')
})

test('an open breaker does not keep the process from ending', async () => {
  const program = `
    import { BaseStore, FailoverStore, GcraLimiter, Quota, StoreUnavailableError, Throttle } from 'onrush'
    class Away extends BaseStore {
      get() { throw new StoreUnavailableError('away') }
      set() { throw new StoreUnavailableError('away') }
    }
    const store = new FailoverStore({ primary: new Away(), fallback: 'allow', breaker: { failures: 1, cooldown: 600_000 } })
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perSecond(1) })
    await throttle.check('ada')
    console.log(store.state)
  `
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    printed += text
  })
  const [code] = await once(child, 'exit')
  expect([code, printed.trim()]).toEqual([0, 'open'])
})

test('when it is closed it answers no more, also not from the fallback', async () => {
  const store = new FailoverStore({ primary: new DictionaryStore(), fallback: 'allow' })
  const throttle = throttleOn(store)
  await throttle.check('key')
  await store.close()
  await expect(throttle.check('key')).rejects.toThrow('the store is closed')
})
