/** Tests a store whose server does not answer: no check waits forever, none is admitted, and all work again afterwards. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import { GcraLimiter } from '../limiters/limiters.ts'
import { Quota } from '../quota.ts'
import type { RateLimitResult } from '../result.ts'
import type { BaseStore } from '../stores/base.ts'
import { Throttle } from '../throttle.ts'
import { freshKey } from './samples.ts'
import type { DeclareStoppable } from './scene.ts'

/** A period so long that no unit comes back during a test. */
const RATE = new Quota({ count: 3, period: '3650 days' })

/** The longest time in which a store must find its server again, in ms. */
const RECOVERY = 30_000

export function silenceTests(it: DeclareStoppable): void {
  it('a check that is not answered ends at once when its signal aborts', async ({ store, stop, resume }) => {
    const [key, throttle] = [freshKey(), throttleOn(store)]
    await throttle.check(key)
    await stop()
    const leaving = new AbortController()
    const check = failureOf(throttle.check(key, 1, { signal: leaving.signal }))
    const failedBefore = check.then(() => !leaving.signal.aborted)
    setImmediate(() => leaving.abort())
    const failure = await check
    await resume()
    if (await failedBefore) expectStoreError(failure)
    else assert.equal(failure, leaving.signal.reason)
  })

  it('a check that is not answered fails, and nobody is admitted', async ({ store, stop, resume }) => {
    const [key, throttle] = [freshKey(), throttleOn(store)]
    await throttle.check(key, 3)
    await stop()
    const failures = await Promise.all([key, key, freshKey()].map((each) => failureOf(throttle.check(each))))
    await resume()
    for (const failure of failures) expectStoreError(failure)
  })

  it('ping tells that nothing is answered', async ({ store, stop, resume }) => {
    assert.equal(await store.ping(), true)
    await stop()
    const answer = await store.ping()
    await resume()
    assert.equal(answer, false)
  })

  it('a key goes on where it was when its server answers again', async ({ store, stop, resume }) => {
    const [key, throttle] = [freshKey(), throttleOn(store)]
    await throttle.check(key, 2)
    await stop()
    await failureOf(throttle.peek(key))
    await resume()
    assert.equal((await untilAnswered(() => throttle.peek(key))).remaining, 1)
    assert.equal((await throttle.check(key, 2)).limited, true)
    assert.equal((await throttle.check(key)).limited, false)
  })
}

function throttleOn(store: BaseStore): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: RATE })
}

/** The error that the check rejects with. */
async function failureOf(check: Promise<RateLimitResult>): Promise<unknown> {
  let answer: RateLimitResult
  try {
    answer = await check
  } catch (error) {
    return error
  }
  return new Error(`a server that does not answer was taken for one that says ${JSON.stringify(answer)}`)
}

function expectStoreError(failure: unknown): void {
  assert.ok(
    failure instanceof StoreError,
    `expected a StoreError, such as a StoreUnavailableError or a StoreTimeoutError, got ${String(failure)}`,
  )
}

async function untilAnswered(ask: () => Promise<RateLimitResult>): Promise<RateLimitResult> {
  const end = performance.now() + RECOVERY
  while (true) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof StoreError) || performance.now() > end) throw error
      await sleep(50)
    }
  }
}
