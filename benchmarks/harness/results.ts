/** Stores results in `benchmarks/results`, one file per question. Only a run writes them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Answer } from './answer.ts'
import type { Pace } from './bench.ts'
import type { Machine, Versions } from './machine.ts'
import type { JudgedGoal, Noise } from './verdict.ts'

const DIRECTORY = new URL('../results/', import.meta.url)

export interface Result extends Answer {
  readonly question: string
  readonly title: string
  readonly about: string
  readonly remarks: readonly string[]
  /** ISO 8601. */
  readonly date: string
  /** How long the question took. */
  readonly seconds: number
  readonly pace: Pace
  /** The server given by `--server`, such as `valkey-server 9.1.2`. Absent: the server that the tests use. */
  readonly server?: string
  readonly machine: Machine
  readonly versions: Versions
  readonly noise: Noise
  readonly goals: readonly JudgedGoal[]
}

/**
 * A quick run is stored as `<question>.quick.json`, because documents show only full runs, and a run on another server as
 * `<question>.<server>.json`.
 */
export function writeResult(result: Result): void {
  mkdirSync(DIRECTORY, { recursive: true })
  const { question, server, pace } = result
  const parts = [
    question,
    ...(server === undefined ? [] : [server.replaceAll(/[ .]/g, '-')]),
    ...(pace.quick ? ['quick'] : []),
  ]
  writeFileSync(new URL(`${parts.join('.')}.json`, DIRECTORY), `${JSON.stringify(result, roundedNumber, 2)}\n`)
}

/** The results of full runs, those of other servers last. Empty before the first run. */
export function readResults(): Result[] {
  const files = (existsSync(DIRECTORY) ? readdirSync(DIRECTORY) : []).filter(
    (name) => name.endsWith('.json') && !name.endsWith('.quick.json'),
  )
  const results = files.map((file): Result => JSON.parse(readFileSync(new URL(file, DIRECTORY), 'utf8')))
  return [
    ...results.filter(({ server }) => server === undefined),
    ...results.filter(({ server }) => server !== undefined),
  ]
}

/** Rounds to six digits, which is more than any clock here resolves. */
function roundedNumber(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value
}
