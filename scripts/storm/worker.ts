/** A process of the storm: random users of permits. Started by `scripts/storm/run.ts`, never by hand. */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { ConcurrencyLimiter, Quota, type RateLimitResult, reserveAll, storeFromUrl, Throttle } from '../../src/index.ts'
import { PermitDesk } from '../../src/permits/desk.ts'
import { clock } from './clock.ts'
import type { Settings } from './settings.ts'

/** The longest that a late call is under way, in ms. */
const LATEST = 300

/** How often a process looks at the clock, and after how long without a look it did not run. ms. */
const TICK = 5
const STALL = 8

const settings: Settings = JSON.parse(process.argv[2] ?? '{}')
/** The keys lie in different slots there. */
const IS_CLUSTER = settings.url.startsWith('redis+cluster:')
delayCalls()
const store = storeFromUrl(settings.url)
const throttle = new Throttle({
  limiter: new ConcurrencyLimiter({ store }),
  rate: Quota.concurrent(settings.count, { lease: settings.lease, name: 'storm' }),
})

/** Some calls leave later than calls that were made after them. */
function delayCalls(): void {
  const send = Redis.prototype.sendCommand
  Redis.prototype.sendCommand = function late(command, ...others) {
    if (command.name !== 'evalsha' || Math.random() >= settings.lateCalls) return send.call(this, command, ...others)
    setTimeout(() => send.call(this, command, ...others), Math.random() * LATEST)
    return command.promise
  }
}

/** Some messages about permits are lost. Returns the name by which the server knows this process. */
function loseMessages(): number {
  const { desk } = store
  if (!(desk instanceof PermitDesk)) throw new Error('the store has another desk')
  const hear = desk.told.bind(desk)
  desk.told = (grants) => {
    if (Math.random() >= settings.lostMessages) hear(grants)
  }
  return desk.holder
}

/** One line for each change, written at once: a process may be killed at any time. */
function log(what: string, key: string, serial: number, value: number, since = 0): void {
  appendFileSync(settings.log, `${process.pid} ${clock()} ${what} ${key} ${serial} ${value} ${since}\n`)
}

let serial = 0

/** Permits of one key, or of several that were reserved together. */
interface Permits {
  readonly result: RateLimitResult
  readonly tokens: readonly (number | undefined)[]
  readonly signal: AbortSignal
  readonly settle: () => Promise<unknown>
  readonly cancel: () => Promise<unknown>
}

async function reserve(keys: readonly string[], quantity: number, signal: AbortSignal): Promise<Permits> {
  const [key = 'key', ...others] = keys
  if (others.length > 0)
    return reserveAll(
      keys.map((each) => ({ throttle, key: each, quantity })),
      { signal },
    )
  const waits = Math.random() < 0.9
  const waiting = waits ? { maxWait: '5s', priority: Math.floor(Math.random() * 3) - 1 } : {}
  const permit = await throttle.reserve(key, quantity, { ...waiting, signal })
  const { result, token, settle, cancel } = permit
  return { result, tokens: [token], signal: permit.signal, settle, cancel }
}

/** One key, or two where keys may share a call. */
function someKeys(): string[] {
  const mixed = settings.keys.toSorted(() => Math.random() - 0.5)
  return mixed.slice(0, !IS_CLUSTER && Math.random() < 0.2 ? 2 : 1)
}

async function use(): Promise<void> {
  const keys = someKeys()
  const quantity = Math.random() < 0.8 ? 1 : Math.min(2, settings.count)
  const controller = new AbortController()
  const leaves = Math.random() < 0.1
  if (leaves) setTimeout(() => controller.abort(new Error('left')), Math.random() * 50)
  const own = ++serial
  const since = clock()
  const logAll = (what: string): void => {
    for (const key of keys) log(what, key, own, quantity)
  }
  try {
    const permits = await reserve(keys, quantity, controller.signal)
    if (permits.result.limited) return
    for (const [index, key] of keys.entries()) log('got', key, own, permits.tokens[index] ?? 0, since)
    logAll('has')
    let ended = false
    permits.signal.addEventListener('abort', () => {
      if (!ended) logAll('lost')
      ended = true
    })
    await sleep(Math.random() < 0.03 ? Math.random() * 2.5 * settings.lease : Math.random() * 20)
    if (!ended) logAll('ends')
    ended = true
    await (Math.random() < 0.5 ? permits.settle() : permits.cancel())
  } catch {
    // The store failed, or the user has left.
  }
}

async function user(): Promise<void> {
  while (true) {
    await use()
    await sleep(Math.random() * 5)
  }
}

/** Notes when this process did not run: it was stopped, or the machine was busy. */
function noteStalls(): void {
  let last = clock()
  setInterval(() => {
    const now = clock()
    if (now - last > STALL * 1000) log('stalled', '-', 0, 0, last)
    last = now
  }, TICK)
}

process.on('disconnect', () => process.exit())
noteStalls()
log('is', '-', 0, loseMessages())
for (let count = 0; count < settings.users; count++) void user()
