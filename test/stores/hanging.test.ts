/** A custom store that does not answer: how long callers wait, and what must keep working meanwhile. */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type BaseStore, checkAll, GcraLimiter, PeriodicLimiter, Quota, StoreTimeoutError, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { DeafStore, forEver, Gate } from '../support/stores/deaf-store.ts'

const RATE = Quota.perDay(10)
const MANY_TURNS = 20

function throttleOn(store: BaseStore): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: RATE })
}

async function turns(): Promise<void> {
  for (let count = 0; count < MANY_TURNS; count++) await turn()
}

describe('a store of one’s own that does not answer', () => {
  test.each<[string, (throttle: Throttle) => Promise<unknown>]>([
    ['check', (throttle) => throttle.check('ada')],
    ['peek', (throttle) => throttle.peek('ada')],
    ['clear', (throttle) => throttle.clear('ada')],
    ['refund', (throttle) => throttle.refund('ada')],
    ['reserve', (throttle) => throttle.reserve('ada')],
    ['acquire', (throttle) => throttle.acquire('ada')],
    ['checkAll', (throttle) => checkAll([{ throttle, key: 'ada' }])],
  ])('has %s fail after its timeout', async (_, ask) => {
    const store = new DeafStore({ timeout: '50ms' })
    store.hold = forEver
    await expect(ask(throttleOn(store))).rejects.toThrow(StoreTimeoutError)
  })

  test('is given up after a second where nothing else is said', async () => {
    const store = new DeafStore()
    store.hold = forEver
    await expect(throttleOn(store).check('ada')).rejects.toThrow(
      /within 1000 ms; nothing was counted: get of DeafStore/,
    )
  })

  test('has counted nothing where it was only read, and may have where it was written', async () => {
    const store = new DeafStore({ timeout: 50 })
    store.hold = (method) => (method === 'set' ? forEver() : undefined)
    await expect(throttleOn(store).check('ada')).rejects.toMatchObject({
      sent: true,
      message: expect.stringContaining('may have been counted: compareAndSwap of DeafStore has not answered'),
    })
    store.hold = forEver
    await expect(throttleOn(store).check('ben')).rejects.toMatchObject({ sent: false })
  })

  test('answers no ping', async () => {
    const store = new DeafStore({ timeout: 50 })
    store.hold = forEver
    expect(await store.ping()).toBe(false)
  })

  test.each<[string, (throttle: Throttle, signal: AbortSignal) => Promise<unknown>]>([
    ['check', (throttle, signal) => throttle.check('ada', 1, { signal })],
    ['reserve', (throttle, signal) => throttle.reserve('ada', 1, { signal })],
  ])('keeps nobody from leaving: a signal ends %s at once', async (_, ask) => {
    const store = new DeafStore({ timeout: '10 minutes' })
    store.hold = forEver
    const leaving = new AbortController()
    const asked = ask(throttleOn(store), leaving.signal)
    await turns()
    leaving.abort()
    await expect(asked).rejects.toBe(leaving.signal.reason)
  })

  test('is sent nothing more for who has left', async () => {
    const store = new DeafStore()
    const gate = new Gate()
    store.hold = () => gate.opened
    const leaving = new AbortController()
    const check = throttleOn(store).check('ada', 1, { signal: leaving.signal })
    const waiting = throttleOn(store).check('ada', 1, { signal: leaving.signal })
    await turns()
    leaving.abort()
    await expect(Promise.any([check, waiting])).rejects.toThrow()
    gate.open()
    await turns()
    expect(store.calls).toEqual(['get'])
  })
})

describe('a call that never answers', () => {
  test('keeps later checks on its key waiting no longer than the timeout', async () => {
    const store = new DeafStore({ timeout: 2000 })
    const throttle = throttleOn(store)
    let calls = 0
    store.hold = () => (calls++ === 0 ? forEver() : undefined)
    const lost = throttle.check('ada').catch((error: unknown) => error)
    await sleep(1000)
    expect((await throttle.check('ada')).remaining).toBe(9)
    expect(await lost).toBeInstanceOf(StoreTimeoutError)
  })

  test('keeps nobody waiting whose caller has left while it only read', async () => {
    const store = new DeafStore({ timeout: '10 minutes' })
    const throttle = throttleOn(store)
    let calls = 0
    store.hold = () => (calls++ === 0 ? forEver() : undefined)
    const leaving = new AbortController()
    const lost = throttle.check('ada', 1, { signal: leaving.signal })
    const next = throttle.check('ada')
    await turns()
    leaving.abort()
    await expect(lost).rejects.toThrow()
    expect((await next).remaining).toBe(9)
  })

  test('keeps checks on other keys waiting not at all', async () => {
    const store = new DeafStore({ timeout: '10 minutes' })
    store.hold = (_, key) => (key.startsWith('{ada}') ? forEver() : undefined)
    const leaving = new AbortController()
    const lost = throttleOn(store).check('ada', 1, { signal: leaving.signal })
    expect((await throttleOn(store).check('ben')).remaining).toBe(9)
    leaving.abort()
    await expect(lost).rejects.toThrow()
  })

  test('in a later layer has what was spent in earlier ones given back', async () => {
    const store = new DeafStore({ timeout: 50 })
    const layers = [GcraLimiter, PeriodicLimiter].map((Limiter) => ({ limiter: new Limiter({ store }), rate: RATE }))
    const throttle = new Throttle({ layers })
    store.hold = (method, key) => (method === 'set' && key.includes(':periodic:') ? forEver() : undefined)
    await expect(throttle.check('ada', 4)).rejects.toThrow(StoreTimeoutError)
    store.hold = () => undefined
    await expect
      .poll(async () => (await throttle.peek('ada')).layers.map(({ remaining }) => remaining))
      .toEqual([10, 10])
  })
})

test('who leaves while a write is on its way has the next on the key wait for it, so that none is lost', async () => {
  const store = new DeafStore({ timeout: '10 minutes' })
  const throttle = throttleOn(store)
  const gate = new Gate()
  store.hold = (method) => (method === 'set' ? gate.opened : undefined)
  const leaving = new AbortController()
  const left = throttle.check('ada', 4, { signal: leaving.signal })
  await expect.poll(() => store.calls).toContain('set')
  leaving.abort()
  await expect(left).rejects.toThrow()
  const next = throttle.check('ada', 4)
  await turns()
  gate.open()
  expect((await next).remaining).toBe(2)
})

test('a swap by get and set whose get answered too late writes nothing', async () => {
  const store = new DeafStore({ timeout: 50 })
  const gate = new Gate()
  let reads = 0
  store.hold = (method) => (method === 'get' && ++reads === 2 ? gate.opened : undefined)
  const throttle = throttleOn(store)
  await expect(throttle.check('ada')).rejects.toThrow(StoreTimeoutError)
  // The swap is too late from when the next on the key no longer waits for it.
  const next = (): Promise<string> =>
    throttle.peek('ada').then(
      () => 'answered',
      () => 'given up',
    )
  await expect.poll(next, { timeout: 30_000 }).toBe('answered')
  const calls = [...store.calls]
  gate.open()
  await turns()
  expect(store.calls).toEqual(calls)
})

test.each<[unknown, ErrorConstructor]>([
  [0, RangeError],
  [-1, RangeError],
  [Number.NaN, RangeError],
  [Number.POSITIVE_INFINITY, RangeError],
  ['25 days', RangeError],
  ['soon', RangeError],
  [null, TypeError],
  [{}, TypeError],
])('a store of one’s own takes no timeout of %o', (timeout, error) => {
  expect(() => Reflect.construct(DeafStore, [{ timeout }])).toThrow(error)
})
