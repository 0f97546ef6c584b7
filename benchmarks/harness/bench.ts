/** What a question is asked with: how long it may take, the server, and where it tells how far it is. */
import type { RedisServer } from '../../test/support/servers/redis.ts'
import type { Answer } from './answer.ts'
import type { Crew } from './crew.ts'
import type { Progress } from './progress.ts'
import type { ServerMeter } from './server-meter.ts'

export interface Question {
  /** By which it is asked for on the command line, and under which its result is kept. */
  readonly name: string
  readonly title: string
  /** What it asks, in a sentence or two for who reads the table. */
  readonly about: string
  ask(bench: Bench): Promise<Answer>
}

export interface Pace {
  /** Under a minute for all questions. */
  readonly quick: boolean
  readonly rounds: number
  /** Milliseconds that each contestant has in a round. */
  readonly roundTime: number
  /** Milliseconds that each contestant has at least before the rounds. */
  readonly warmUpTime: number
}

export interface Bench extends Pace {
  /** Empty when the question is asked. */
  readonly redis: RedisServer
  readonly meter: ServerMeter
  /** In a quick run, the process of all contestants. */
  readonly shared: Crew | undefined
  readonly progress: Progress
}

export const QUICK: Pace = { quick: true, rounds: 2, roundTime: 50, warmUpTime: 60 }
export const FULL: Pace = { quick: false, rounds: 5, roundTime: 250, warmUpTime: 500 }
