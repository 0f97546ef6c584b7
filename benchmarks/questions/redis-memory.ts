/** Measures the memory of a live key in Redis. */
import { Redis } from 'ioredis'
import { CONTESTANTS, type ContestantName } from '../contestants.ts'
import { type Row, rowOf } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { against, ratio } from '../harness/compare.ts'
import { drive } from '../harness/load.ts'

const KEYS = 10_000
const SAMPLE = 1000
/** The length of a key name in Redis, in bytes; users' keys are padded to reach it. */
const NAME = 48
const PEER = 'rate-limiter-flexible'
const NAMES: readonly ContestantName[] = [
  ...([
    'onrush',
    'onrush periodic',
    'onrush fixed window',
    'onrush moving window',
    'onrush sliding window counter',
  ] as const),
  ...([PEER, 'rate-limit-redis', 'redis-gcra'] as const),
]

export const redisMemory: Question = {
  name: 'redis-memory',
  title: 'Memory of Redis',
  about: '10,000 live keys, each checked twice, with names of equal length in Redis.',
  async ask(bench) {
    bench.progress.expect(NAMES.length)
    const rows: Row[] = []
    await using client = disposable(new Redis({ host: '127.0.0.1', port: bench.redis.port }))
    for (const name of NAMES) {
      rows.push(await measure(bench, client.redis, name))
      bench.progress.step(name)
    }
    return {
      settings: { keys: KEYS, bytesOfAName: NAME },
      sections: [
        {
          name: 'bytes',
          title: 'By MEMORY USAGE, which sees the key and its value, and by used_memory, which sees the expiry too',
          ratio: `bytes × ${PEER}`,
          plot: { kind: 'bars', metric: 'bytesPerKey' },
          rows: against(rows, PEER, 'bytesPerKey'),
        },
      ],
      goals: [
        {
          text: `Redis memory per live GCRA key: ≤ 1.45× ${PEER}`,
          samples: ratio(rowOf(rows, 'onrush'), rowOf(rows, PEER), 'bytesPerKey'),
          bound: { atMost: 1.45 },
        },
      ],
    }
  },
}

async function measure({ redis: { port }, meter }: Bench, redis: Redis, name: ContestantName): Promise<Row> {
  await meter.flush()
  await using contestant = await CONTESTANTS[name]({ ports: [port], limit: 100, period: 3_600_000 })
  const probe = 'probe'
  await contestant.check(probe)
  const around = String(await redis.randomkey()).length - probe.length
  const keys = (index: number): string => String(index >>> 1).padStart(NAME - around, 'k')
  await meter.flush()
  const before = await usedMemory(redis)
  await drive({ contestant, keys, inFlight: 64, count: KEYS * 2 })
  const growth = (await usedMemory(redis)) - before
  const [, found] = await redis.scan(0, 'COUNT', SAMPLE)
  const bytes = await Promise.all(found.map(async (key) => Number(await redis.memory('USAGE', key))))
  const bytesPerKey = bytes.reduce((sum, size) => sum + size, 0) / bytes.length
  return { contestant: name, samples: { bytesPerKey: [bytesPerKey], growthPerKey: [growth / KEYS] } }
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])
}

function disposable(redis: Redis): { redis: Redis } & AsyncDisposable {
  return {
    redis,
    async [Symbol.asyncDispose]() {
      await redis.quit()
    },
  }
}
