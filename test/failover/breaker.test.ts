import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { DictionaryStore, FailoverStore, UnsupportedServerError } from 'onrush'
import { expect, test } from 'vitest'
import { throttleOn } from '../support/failover/suite.ts'
import { watched } from '../support/failover/watched.ts'

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
