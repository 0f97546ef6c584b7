/** `npm run demo`: several processes hammer one quota, and exactly as many checks are admitted as the quota allows. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { RedisStore } from 'onrush'
import { type RedisServer, startRedis } from '../test/support/servers/redis.ts'
import { type Crew, LocalCrew, ProcessCrew } from './demo/crew.ts'
import { displayOf } from './demo/display.ts'
import { isHeld, number, type Outcome, tableOf, together } from './demo/outcome.ts'

const USAGE = `npm run demo -- [options]
  --processes <n>   how many hammer the quota: 2 to 64 (default 4)
  --seconds <n>     about how long: 1 to 12 (default 8)
  --redis <url>     a Redis of your own (default: one is started)`

/** How long the processes warm up and show their speed, in ms. */
const WARM_UP = 800

/** The share of the run that the quota should last. After that all checks are refused. */
const LASTING = 0.7

/** The longest run, in ms, even on a slow machine. */
const LONGEST = 20_000

const { values } = parseArgs({
  options: {
    processes: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '8' },
    redis: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(USAGE)
else await demonstrate(whole('processes', values.processes, 2, 64), whole('seconds', values.seconds, 1, 12))

async function demonstrate(size: number, seconds: number): Promise<void> {
  await using server = values.redis === undefined ? await redisOrNothing() : undefined
  const url = values.redis ?? server?.url
  if (url === undefined) return hammer(new LocalCrew(size), 'in this process', size, seconds)
  const place = { url, prefix: `onrush-demo-${randomUUID()}` }
  const store = new RedisStore(place)
  try {
    if (!(await store.ping())) return fail('No Redis answers at the URL of --redis')
    await using crew = await ProcessCrew.gather(size, place)
    await hammer(crew, 'in Redis', size, seconds)
    await store.reset()
  } finally {
    await store.close()
  }
}

async function hammer(crew: Crew, where: string, size: number, seconds: number): Promise<void> {
  console.log(`${size} ${crew.members} hammer one key ${where}. Warming up …`)
  const limit = await affordable(crew, seconds)
  console.log(`Now the key has a quota of ${number(limit)}, for all of them together:`)
  const outcome = await compete(crew, size, limit, seconds)
  console.log(tableOf(crew.member, outcome))
  if (!isHeld(outcome)) fail('THE BOUND BROKE')
}

function fail(message: string): void {
  console.log(message)
  process.exitCode = 1
}

async function redisOrNothing(): Promise<RedisServer | undefined> {
  try {
    return await startRedis()
  } catch (error) {
    const [reason] = error instanceof Error ? error.message.split('\n') : [String(error)]
    console.log(`There is no Redis here, so the in-process store is hammered instead. ${reason}`)
    return undefined
  }
}

/** A limit that this machine reaches after most of the run. */
async function affordable(crew: Crew, seconds: number): Promise<number> {
  const start = performance.now()
  crew.start({ key: 'warm-up', limit: 10 ** 12 })
  await sleep(WARM_UP)
  const { asked } = together(await crew.stop())
  const speed = (asked / (performance.now() - start)) * 1000
  return Math.max(Number((speed * seconds * LASTING).toPrecision(2)), 1)
}

async function compete(crew: Crew, size: number, limit: number, seconds: number): Promise<Outcome> {
  const display = displayOf(crew.member, size, limit)
  const start = performance.now()
  const startTime = performance.timeOrigin + start
  crew.start({ key: 'shared', limit })
  for (let end = start + LONGEST; performance.now() < end; ) {
    await sleep(100)
    display.show(crew.tallies)
    const { asked, admitted } = together(crew.tallies)
    if (asked > admitted) end = Math.min(end, performance.now() + (1 - LASTING) * seconds * 1000)
  }
  const tallies = await crew.stop()
  display.show(tallies)
  display.end()
  return { tallies, limit, time: together(tallies).latest - startTime }
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  console.error(`--${name} must be a whole number from ${least} to ${most}, got '${text}'\n${USAGE}`)
  process.exit(2)
}
