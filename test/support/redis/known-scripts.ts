/** Every script that calls of the built-in limiters may need, so that a server knows them. */
import { type BlocksOptions, checkAll, Quota } from 'onrush'
import { type Counting, LIMITERS } from '../limiters.ts'
import type { BothImplementations } from './implementations.ts'

/**
 * Has each script run once. A call whose script a node does not know yet is sent again, and then later ones may be decided before
 * it: tests of the order in which things are asked begin with this.
 */
export async function makeScriptsKnown(
  both: BothImplementations,
  blocks?: BlocksOptions,
  limiters: readonly Counting[] = LIMITERS,
): Promise<void> {
  const subsets = Array.from({ length: 2 ** limiters.length - 1 }, (_, index) =>
    limiters.filter((_, place) => ((index + 1) >> place) & 1),
  )
  for (const subset of subsets) {
    const { remote } = both.throttle(
      subset.map((counting) => ({ counting, rate: Quota.perSecond(1) })),
      blocks,
    )
    await Promise.all([remote.check('key'), remote.check('key', 0)])
    // By the general script, as all but checks are.
    await remote.clear('key')
  }
  for (const counting of limiters) {
    const layers = [Quota.perSecond(1), Quota.perMinute(1), Quota.perHour(1)]
    for (const rate of layers.map((_, index) => layers.slice(0, index + 1))) {
      await both.throttle([{ counting, rate }]).remote.check('key')
    }
    const { remote: throttle } = both.throttle([{ counting, rate: Quota.perSecond(1) }])
    await checkAll(['key', 'other'].map((key) => ({ throttle, key, quantity: 0 })))
  }
}
