/** The report of a replay as JSON. */
import { jsonText } from '../terminal.ts'
import type { Replay } from './replay.ts'

export function jsonReport({ simulation, candidates, smallest, lines, unreadable, ...rest }: Replay): string {
  const { throttles, ...traffic } = simulation
  const report = {
    ...rest,
    lines: { ...lines, unreadable: unreadable.count, unreadableExamples: unreadable.examples },
    ...traffic,
    candidates: throttles.map((throttle, index) => ({
      candidate: candidates[index],
      ...throttle,
      layers: throttle.layers.map((layer) => ({ ...layer, quota: String(layer.quota) })),
    })),
    smallest: smallest.map(({ quota, curve, ...limit }) => ({
      ...limit,
      quota: String(quota),
      curve: curve.map((tried) => ({ ...tried, quota: String(tried.quota), limit: tried.quota.limit })),
    })),
  }
  return jsonText(report, 2)
}
