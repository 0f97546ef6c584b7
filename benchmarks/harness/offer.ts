/** An open loop: checks at a fixed rate, however long answers take, as requests reach a service. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Contestant } from './contestant.ts'
import { collectGarbage } from './garbage.ts'
import type { Keys } from './keys.ts'
import type { Measurement } from './metrics.ts'

export interface Offer {
  readonly contestant: Contestant
  readonly keys: Keys
  /** Checks per second. */
  readonly rate: number
  /** Milliseconds. */
  readonly duration: number
}

export async function offer({ contestant, keys, rate, duration }: Offer): Promise<Measurement> {
  const total = Math.round((rate * duration) / 1000)
  const answers: Promise<unknown>[] = []
  collectGarbage()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const utilization = performance.eventLoopUtilization()
  const processor = process.cpuUsage()
  delay.enable()
  const start = performance.now()
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - start) * rate) / 1000))
      while (answers.length < due) answers.push(contestant.check(keys(answers.length)))
      if (answers.length < total) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  await Promise.all(answers)
  const time = performance.now() - start
  delay.disable()
  const { user, system } = process.cpuUsage(processor)
  return {
    rate: (total / time) * 1000,
    clientTime: (user + system) / total,
    utilization: performance.eventLoopUtilization(utilization).utilization * 100,
    loopDelay99: delay.percentile(99) / 1e6,
    loopDelayMost: delay.max / 1e6,
  }
}
