/** The throttle that a command asks about: its rates and its algorithm. */
import type { Command } from 'commander'
import type { BaseStore } from '../../stores/base.ts'
import { Throttle } from '../../throttle.ts'
import { ALGORITHM_NAMES, limiterOf } from '../algorithms.ts'
import { UsageError } from '../exit-codes.ts'
import { chosen, repeatable } from '../option-values.ts'

/** For a throttle that does nothing but block and unblock. */
const ANY_RATE = '1/second'

export interface ThrottleTextOptions {
  readonly rate: readonly string[]
  readonly algorithm: string
  readonly name?: string
}

export function addThrottleOptions(command: Command): Command {
  return command
    .addOption(
      repeatable(
        '--rate <rate>',
        "the throttle's rate, or one of its layers, as in the program: '100/minute burst 20'",
      ),
    )
    .addOption(chosen('--algorithm <name>', 'how the rate is counted', ALGORITHM_NAMES).default('gcra'))
    .option('--name <name>', "the name of the throttle's blocks (default: that of its first quota)")
}

/**
 * A throttle for a block, which goes by its name alone: without a rate by `--name`.
 * @throws UsageError for a rate or a name that cannot be read, and where both are missing
 */
export function blockerOf(store: BaseStore, options: ThrottleTextOptions): Throttle {
  if (options.rate.length > 0) return throttleOf(store, options)
  if (options.name === undefined) {
    throw new UsageError(
      'give --rate, the rate of the throttle as in the program, or --name, the name of its blocks as ls --blocked shows it',
    )
  }
  return throttleOf(store, { ...options, rate: [ANY_RATE] })
}

/**
 * A throttle that heeds blocks, because a key that is blocked has no other answer.
 * @throws UsageError for a rate or a name that cannot be read
 */
export function throttleOf(store: BaseStore, { rate, algorithm, name }: ThrottleTextOptions): Throttle {
  if (rate.length === 0)
    throw new UsageError("give --rate, the rate of the throttle as in the program, such as '100/minute'")
  const limiter = limiterOf(algorithm, store)
  const throttle = readAs('--rate', () => new Throttle({ limiter, rate, blocks: true }))
  return name === undefined ? throttle : readAs('--name', () => new Throttle({ limiter, rate, blocks: { name } }))
}

function readAs(option: string, make: () => Throttle): Throttle {
  try {
    return make()
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
