/** A question of the benchmarks, and the setup that it runs with: times, server and progress display. */
import type { RedisServer } from '../../test/support/servers/redis.ts'
import type { Answer } from './answer.ts'
import type { Crew } from './crew.ts'
import type { Versions } from './machine.ts'
import type { Progress } from './progress.ts'
import type { ServerMeter } from './server-meter.ts'

export interface Question {
  /** The name on the command line, and of the file with the result. */
  readonly name: string
  readonly title: string
  /** An explanation of the question for readers of the table, in a sentence or two. */
  readonly about: string
  /** Remarks that a reader needs to understand the numbers. Default: none. */
  readonly remarks?: readonly string[]
  /** True: asked only by its name, because it takes minutes. Default false. */
  readonly isLong?: boolean
  ask(bench: Bench): Promise<Answer>
}

export interface Pace {
  /** Under a minute for all questions. */
  readonly quick: boolean
  readonly rounds: number
  /** The length of a contestant's turn in a round, in ms. */
  readonly roundTime: number
  /** The shortest warm-up of a contestant before the rounds, in ms. */
  readonly warmUpTime: number
}

export interface Bench extends Pace {
  /** The server, empty at the start of the question. */
  readonly redis: RedisServer
  /** The versions of the server and of all packages. */
  readonly versions: Versions
  readonly meter: ServerMeter
  /** The process that all contestants share in a quick run. `undefined`: a full run. */
  readonly shared: Crew | undefined
  readonly progress: Progress
}

export const QUICK: Pace = { quick: true, rounds: 2, roundTime: 50, warmUpTime: 60 }
export const FULL: Pace = { quick: false, rounds: 5, roundTime: 250, warmUpTime: 500 }
