/** Plays requests through throttles on the requests' own clock. */
import { checkInteger, itemsOf, notInstance } from '../arguments.ts'
import { type Duration, microseconds } from '../duration.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { Throttle } from '../throttle.ts'
import { InOrder } from './in-order.ts'
import { forEachRequest, type SimulatedRequests } from './request.ts'
import { type BusiestSpan, Traffic } from './traffic.ts'
import { type SimulatedThrottle, Trial } from './trial.ts'

/** The most throttles of one simulation. */
const MAXIMUM_THROTTLES = 1000

/** Options of `simulate`. */
export interface SimulateOptions {
  /** How many of the keys with the most requests refused the report lists, 0 or more. Default 10. */
  readonly hardestHit?: number | undefined
  /**
   * How much later than a later request an earlier one may come in the source and still be put in its order, 0 or more ms. Default 10 s. A
   * request that comes later still is played at the time that the simulation has reached, and counted in `late`.
   */
  readonly sortWithin?: Duration | undefined
}

/** Figures of the requests, and the refusals that each throttle would have made. */
export interface Simulation {
  /** Requests played. */
  readonly requests: number
  /** Units that the requests asked for. */
  readonly units: number
  /** Different keys. */
  readonly keys: number
  /** The time of the first request. `undefined`: there was none. */
  readonly from: Date | undefined
  /** The time of the last request. */
  readonly to: Date | undefined
  /** The whole second of UTC with the most requests. `undefined`: there was none. */
  readonly busiestSecond: BusiestSpan | undefined
  /** The whole minute of UTC with the most requests. */
  readonly busiestMinute: BusiestSpan | undefined
  /** Requests that came after a later one, and were put in their order. */
  readonly reordered: number
  /** Requests that came too late to be put in their order. */
  readonly late: number
  /** One for each throttle, in order. */
  readonly throttles: readonly SimulatedThrottle[]
}

const OPTIONS = optionNames<SimulateOptions>({ hardestHit: true, sortWithin: true })

/**
 * Plays requests through throttles, on the requests' own clock and with the algorithms that production runs, and reports what each throttle
 * would have refused. Each throttle sees all requests. The stores of the throttles are neither read nor written. For choosing a limit from
 * the traffic of the past before it is enforced.
 * @param requests the requests, in about the order of their times
 * @param throttles the throttles to try, at most 1,000, whose limiters have an algorithm
 * @returns rejects with a TypeError or RangeError for wrong arguments, or with the error of the source
 * @example
 * const requests = [0, 10, 20].map((time) => ({ key: 'user:42', time }))
 * const throttle = new Throttle({ store: new DictionaryStore(), rate: '2/second' })
 * const { throttles } = await simulate(requests, [throttle])
 * console.log(throttles[0]?.refused) // 1
 */
export async function simulate(
  requests: SimulatedRequests,
  throttles: readonly Throttle[],
  options: SimulateOptions = {},
): Promise<Simulation> {
  checkOptionNames('options of simulate', options, OPTIONS)
  const { hardestHit = 10, sortWithin } = options
  checkInteger('hardestHit', hardestHit, 0)
  const trials = itemsOf('throttles', throttles, MAXIMUM_THROTTLES).map(trialOf)
  const traffic = new Traffic()
  const { reordered, late } = await playInOrder(requests, sortWithin, (request) => {
    traffic.add(request)
    for (const trial of trials) trial.play(request)
  })
  return {
    requests: traffic.requests,
    units: traffic.units,
    keys: traffic.keys,
    from: traffic.from,
    to: traffic.to,
    busiestSecond: traffic.busiestSecond,
    busiestMinute: traffic.busiestMinute,
    reordered,
    late,
    throttles: trials.map((trial) => trial.report(traffic, hardestHit)),
  }
}

/** Calls `play` with each request, in the order of their times. */
export async function playInOrder(
  requests: SimulatedRequests,
  sortWithin: Duration = '10s',
  play: ConstructorParameters<typeof InOrder>[1],
): Promise<InOrder> {
  const window = microseconds(sortWithin, 'sortWithin')
  if (window < 0) throw new RangeError(`sortWithin must be 0 ms or more, got ${sortWithin}`)
  const inOrder = new InOrder(window, play)
  await forEachRequest(requests, (request) => inOrder.add(request))
  inOrder.end()
  return inOrder
}

function trialOf(throttle: unknown): Trial {
  if (!(throttle instanceof Throttle)) throw notInstance('throttles must hold throttles', Throttle, throttle)
  const { countedLayers } = throttle
  if (countedLayers.length > 0) return new Trial(countedLayers)
  throw new TypeError('simulate takes throttles whose limiters have an algorithm, not limiters of your own')
}
