/** `npm run bench -- [question …] [--quick] [--rounds n]`: measures the questions, prints the answers and stores them in `results`. */
import { parseArgs } from 'node:util'
import { startRedis } from '../test/support/servers/redis.ts'
import { type Bench, FULL, type Pace, QUICK, type Question } from './harness/bench.ts'
import { build } from './harness/build.ts'
import { Crew } from './harness/crew.ts'
import { describeMachine, describeVersions, type Machine, othersShare, type Versions } from './harness/machine.ts'
import { Progress } from './harness/progress.ts'
import { type Result, writeResult } from './harness/results.ts'
import { ServerMeter } from './harness/server-meter.ts'
import { print, printGoals } from './harness/terminal.ts'
import { judgeGoal, judgeNoise } from './harness/verdict.ts'
import { QUESTIONS } from './questions.ts'

const USAGE = `npm run bench -- [question …] [options]
  --quick       all questions in less than a minute
  --rounds <n>  how often each contestant is asked
  --server <path>  the program of another Redis or Valkey; its results stand apart
  --list        names the questions
Without a question, the usual ones are asked: all but those that take long or need servers of their own (cluster, over-http, process-memory, accuracy, leases, permits).`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    server: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(USAGE)
else await run()

async function run(): Promise<void> {
  if (values.list) {
    for (const { name, about } of QUESTIONS) console.log(`${name.padEnd(16)}${about}`)
    return
  }
  const questions = chosen(QUESTIONS, positionals)
  const pace = values.quick ? QUICK : FULL
  if (values.server !== undefined) process.env.ONRUSH_REDIS_SERVER = values.server
  // Before the build, because the build loads the machine too.
  const machine = describeMachine()
  build()
  await askAll(questions, { ...pace, rounds: rounds(values.rounds) ?? pace.rounds }, machine)
}

async function askAll(questions: readonly Question[], pace: Pace, machine: Machine): Promise<void> {
  await using redis = await startRedis()
  await using meter = new ServerMeter([redis.port])
  await using shared = pace.quick ? await Crew.start(1) : undefined
  const versions = await describeVersions(redis)
  const bench: Bench = { ...pace, redis, versions, meter, shared, progress: new Progress() }
  const results: Result[] = []
  for (const question of questions) {
    const result = await ask(question, bench, machine)
    writeResult(result)
    print(result)
    results.push(result)
  }
  printGoals(results)
}

async function ask(question: Question, bench: Bench, machine: Machine): Promise<Result> {
  const { name, title, about, remarks = [] } = question
  const { quick, rounds, roundTime, warmUpTime, versions } = bench
  const start = performance.now()
  await bench.meter.flush()
  const others = await othersShare(quick ? 100 : 300)
  bench.progress.start(name)
  const answer = await question.ask(bench).finally(() => bench.progress.stop())
  const noise = judgeNoise(answer.sections, others)
  return {
    ...{
      question: name,
      title,
      about,
      remarks,
      date: new Date().toISOString(),
      seconds: (performance.now() - start) / 1000,
    },
    pace: { quick, rounds, roundTime, warmUpTime },
    ...(values.server === undefined ? {} : { server: serverOf(versions) }),
    ...{ machine, versions, noise },
    ...answer,
    goals: (answer.goals ?? []).map((goal) => judgeGoal(goal, noise)),
  }
}

/** Such as `valkey-server 9.1.2`. */
function serverOf(versions: Versions): string {
  const [name = 'server', version = ''] = Object.entries(versions).find(([name]) => name.endsWith('-server')) ?? []
  return `${name} ${version}`
}

function chosen(questions: readonly Question[], names: readonly string[]): readonly Question[] {
  const known = questions.map(({ name }) => name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new RangeError(`question must be one of ${known.join(', ')}; got ${unknown}`)
  return names.length === 0
    ? questions.filter(({ isLong = false }) => !isLong)
    : questions.filter(({ name }) => names.includes(name))
}

function rounds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`--rounds must be a positive whole number, got ${text}`)
  return count
}
