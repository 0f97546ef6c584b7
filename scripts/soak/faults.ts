/** The faults of a soak, and the consequences that each may have. */
import { setTimeout as sleep } from 'node:timers/promises'
import { blockFor } from '../../test/support/faults/blocking.ts'
import type { FaultProxy } from '../../test/support/servers/proxy.ts'
import type { RedisServer } from '../../test/support/servers/redis.ts'

export interface Target {
  readonly server: RedisServer
  /** The proxies between clients and server, one for each client. */
  readonly proxies: readonly FaultProxy[]
}

export interface SoakFault {
  readonly name: string
  strike(target: Target): Promise<unknown>
  /** How often the fault makes the server lose its data. Each loss allows the full limit once more. */
  readonly losses: number
  /** True if a store with `resend` answers every check despite the fault. */
  readonly bridged: boolean
}

/** Durations of faults in ms, one shorter and one longer than the timeout. */
const SHORT = 200
const LONG = 1500

/** A fault of the network on all connections at once, for `milliseconds`. */
async function lasting({ proxies }: Target, begin: (proxy: FaultProxy) => void, milliseconds: number): Promise<void> {
  for (const proxy of proxies) begin(proxy)
  await sleep(milliseconds)
  for (const proxy of proxies) proxy.faults.pass()
}

async function again(act: () => unknown): Promise<void> {
  for (let count = 0; count < 5; count++) {
    await act()
    await sleep(50)
  }
}

function onAll({ proxies }: Target, act: (proxy: FaultProxy) => unknown): Promise<unknown> {
  return Promise.all(proxies.map(act))
}

const KEPT = { losses: 0, bridged: true } as const
const OUTAGE = { losses: 0, bridged: false } as const

export const FAULTS: readonly [SoakFault, ...SoakFault[]] = [
  { name: 'nothing', ...KEPT, strike: () => sleep(SHORT) },
  {
    name: 'connections reset',
    ...KEPT,
    strike: (target) => again(() => onAll(target, ({ faults }) => faults.resetAll())),
  },
  {
    name: 'replies lost',
    ...KEPT,
    async strike(target) {
      await again(() =>
        onAll(target, ({ faults }) => faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })),
      )
      await onAll(target, ({ faults }) => faults.pass())
    },
  },
  {
    name: 'connections gone silent',
    ...KEPT,
    strike: (target) => onAll(target, ({ faults }) => faults.dropReplies({ times: 1 })),
  },
  { name: 'latency', ...KEPT, strike: (target) => lasting(target, ({ faults }) => faults.latency(SHORT), LONG) },
  { name: 'a black hole', ...OUTAGE, strike: (target) => lasting(target, ({ faults }) => faults.blackHole(), LONG) },
  {
    name: 'nobody listening',
    ...OUTAGE,
    async strike(target) {
      await onAll(target, ({ faults }) => {
        faults.refuse()
        faults.resetAll()
      })
      await sleep(LONG)
      await onAll(target, ({ faults }) => faults.accept())
    },
  },
  {
    name: 'SIGSTOP',
    ...OUTAGE,
    async strike({ server }) {
      server.pause()
      await sleep(LONG)
      server.resume()
    },
  },
  { name: 'kill -9 and restart', losses: 1, bridged: false, strike: ({ server }) => server.restart() },
  { name: 'SCRIPT FLUSH', ...KEPT, strike: ({ server }) => again(() => server.command('SCRIPT', 'FLUSH')) },
  { name: 'FLUSHALL', losses: 1, bridged: true, strike: ({ server }) => server.command('FLUSHALL') },
  {
    name: 'no memory left',
    ...OUTAGE,
    async strike({ server }) {
      await server.command('CONFIG', 'SET', 'maxmemory', 1)
      await sleep(SHORT)
      await server.command('CONFIG', 'SET', 'maxmemory', 0)
    },
  },
  {
    name: 'a replica for a while',
    ...KEPT,
    async strike({ server }) {
      await server.command('REPLICAOF', '127.0.0.1', 1)
      await sleep(SHORT)
      await server.command('REPLICAOF', 'NO', 'ONE')
    },
  },
  { name: 'a blocked event loop', ...OUTAGE, strike: async () => blockFor(LONG) },
]
