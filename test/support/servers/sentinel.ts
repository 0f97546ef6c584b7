/** A real master with replicas, and sentinels that watch over them. */
import { type RedisServer, startRedis, untilInStep } from './redis.ts'
import { until, untilEach } from './until.ts'

export interface SentinelOptions {
  /** Replicas of the master. Default 1. */
  readonly replicas?: number
  /** Default 3; more than half of them have to agree that the master is down. */
  readonly sentinels?: number
}

const MASTER_NAME = 'mymaster'

/** Starts them all; resolves when every replica is in step and every sentinel knows all others. */
export async function startSentinels(options: SentinelOptions = {}): Promise<SentinelGroup> {
  const { replicas = 1, sentinels = 3 } = options
  const master = await startRedis()
  const copies = await Promise.all(Array.from({ length: replicas }, () => startReplica(master)))
  const quorum = Math.floor(sentinels / 2) + 1
  const watchers = await Promise.all(Array.from({ length: sentinels }, () => startSentinel(master, quorum)))
  const group = new SentinelGroup([master, ...copies], watchers)
  try {
    await untilInStep(copies)
    await untilEach('every sentinel to know all', watchers, async (watcher) =>
      (await watcher.information('sentinel')).includes(
        `status=ok,address=127.0.0.1:${master.port},slaves=${replicas},sentinels=${sentinels}\r\n`,
      ),
    )
    return group
  } catch (error) {
    await group.stop()
    throw error
  }
}

export class SentinelGroup implements AsyncDisposable {
  readonly masterName = MASTER_NAME
  /** The first master and its replicas, dead ones too. */
  readonly servers: readonly RedisServer[]
  readonly sentinels: readonly RedisServer[]

  constructor(servers: readonly RedisServer[], sentinels: readonly RedisServer[]) {
    this.servers = servers
    this.sentinels = sentinels
  }

  get sentinelPorts(): number[] {
    return this.sentinels.map(({ port }) => port)
  }

  /** The server that the first living sentinel calls the master. */
  async currentMaster(): Promise<RedisServer> {
    const sentinel = this.sentinels.find(({ isRunning }) => isRunning)
    if (sentinel === undefined) throw new Error('No sentinel lives')
    const port = await masterPort(sentinel)
    const master = this.servers.find((server) => server.port === port)
    if (master === undefined) throw new Error(`The sentinels call port ${port} the master, which is none of ours`)
    return master
  }

  /** Kills the master by SIGKILL; resolves with the replica that took its place when all living sentinels name it. */
  async killMaster(): Promise<RedisServer> {
    const old = await this.currentMaster()
    await old.kill()
    await until('the sentinels to agree on a new master', async () => {
      const ports = await Promise.all(this.sentinels.filter(({ isRunning }) => isRunning).map(masterPort))
      return ports.every((port) => port === ports[0] && port !== old.port)
    })
    const promoted = await this.currentMaster()
    await until('the new master to take writes', async () =>
      (await promoted.information('replication')).includes('role:master\r\n'),
    )
    return promoted
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.stop()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

function startReplica(master: RedisServer): Promise<RedisServer> {
  return startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
}

async function startSentinel(master: RedisServer, quorum: number): Promise<RedisServer> {
  const sentinel = await startRedis({
    sentinel: [
      `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${master.port} ${quorum}`,
      `sentinel down-after-milliseconds ${MASTER_NAME} 1000`,
      `sentinel failover-timeout ${MASTER_NAME} 3000`,
    ],
  })
  // They learn of each other and of replicas by such messages: several seconds go by with the usual periods.
  const periods = ['INFO-PERIOD', 'PING-PERIOD', 'PUBLISH-PERIOD', 'ASK-PERIOD'].flatMap((name) => [name, 200])
  await sentinel.command('SENTINEL', 'DEBUG', ...periods)
  return sentinel
}

async function masterPort(sentinel: RedisServer): Promise<number> {
  const address = await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME)
  return Number(Array.isArray(address) ? address[1] : undefined)
}
