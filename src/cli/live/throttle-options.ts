/** The throttle that a command asks about: its rates and its algorithm. */
import type { Command } from 'commander'
import type { BlocksOptions } from '../../blocks.ts'
import type { BaseStore } from '../../stores/base.ts'
import { Throttle } from '../../throttle.ts'
import { ALGORITHM_NAMES, limiterOf } from '../algorithms.ts'
import { UsageError } from '../exit-codes.ts'
import { collect } from '../option-values.ts'

export interface ThrottleTextOptions {
  readonly rate: readonly string[]
  readonly algorithm: string
}

export function addThrottleOptions(command: Command): Command {
  return command
    .option(
      '--rate <rate>',
      "the throttle's rate, as in the program: '100/minute burst 20' (repeatable: layers)",
      collect,
      [],
    )
    .option('--algorithm <name>', `how the rate is counted: ${ALGORITHM_NAMES.join(', ')}`, 'gcra')
}

/** @throws UsageError for a rate that cannot be read */
export function throttleOf(store: BaseStore, options: ThrottleTextOptions): Throttle {
  return made(store, options, false)
}

/**
 * @param name the name of the throttle's blocks. `undefined`: that of its first quota
 * @throws UsageError for a rate or a name that cannot be read
 */
export function blockingThrottleOf(store: BaseStore, options: ThrottleTextOptions, name: string | undefined): Throttle {
  return made(store, options, name === undefined ? true : { name })
}

function made(store: BaseStore, { rate, algorithm }: ThrottleTextOptions, blocks: boolean | BlocksOptions): Throttle {
  if (rate.length === 0)
    throw new UsageError("give --rate, the rate of the throttle as in the program, such as '100/minute'")
  const limiter = limiterOf(algorithm, store)
  try {
    return new Throttle({ limiter, rate, blocks })
  } catch (error) {
    throw new UsageError(`--rate: ${error instanceof Error ? error.message : String(error)}`)
  }
}
