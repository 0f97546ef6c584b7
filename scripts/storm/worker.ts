/** A process of the storm: random users of permits. Started by `scripts/storm/run.ts`, never by hand. */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { ConcurrencyLimiter, Quota, storeFromUrl, Throttle } from '../../src/index.ts'
import { PermitDesk } from '../../src/permits/desk.ts'
import { clock } from './clock.ts'
import type { Settings } from './settings.ts'

/** The longest that a late call is under way, in ms. */
const LATEST = 300

/** How often a process looks at the clock, and after how long without a look it did not run. ms. */
const TICK = 5
const STALL = 8

const settings: Settings = JSON.parse(process.argv[2] ?? '{}')
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

async function use(): Promise<void> {
  const key = settings.keys[Math.floor(Math.random() * settings.keys.length)] ?? 'key'
  const quantity = Math.random() < 0.8 ? 1 : Math.min(2, settings.count)
  const controller = new AbortController()
  const leaves = Math.random() < 0.1
  if (leaves) setTimeout(() => controller.abort(new Error('left')), Math.random() * 50)
  const waits = Math.random() < 0.9
  const own = ++serial
  const since = clock()
  try {
    const permit = await throttle.reserve(key, quantity, {
      ...(waits ? { maxWait: '5s', priority: Math.floor(Math.random() * 3) - 1 } : {}),
      signal: controller.signal,
    })
    if (permit.result.limited) return
    log('got', key, own, permit.token ?? 0, since)
    log('has', key, own, quantity)
    let ended = false
    permit.signal.addEventListener('abort', () => {
      if (!ended) log('lost', key, own, quantity)
      ended = true
    })
    await sleep(Math.random() < 0.03 ? Math.random() * 2.5 * settings.lease : Math.random() * 20)
    if (!ended) log('ends', key, own, quantity)
    ended = true
    await (Math.random() < 0.5 ? permit.settle() : permit.cancel())
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
