/** Faults under load, and what holds of all of them. */
import { expect } from 'vitest'
import { Load, type Report } from './load.ts'
import { type Scene, throttleOn } from './suite.ts'

/** Of each key, where a test does not say. */
export const LIMIT = 600

/** Load before, while and after `fault` lasts, until all of the limit has been used; every check is settled in time. */
export async function under(
  scene: Scene,
  fault: (load: Load) => Promise<unknown>,
  throttle = throttleOn(scene.store, LIMIT),
): Promise<Report> {
  using load = new Load(throttle, { timeout: scene.timeout })
  await load.run(200)
  await fault(load)
  await load.recovered()
  await load.exhausted()
  const report = await load.end()
  expect(report.violations).toEqual([])
  return report
}

/** No more than the limit was admitted, and no less but for checks that failed and may have been counted. */
export function expectLimit({ admitted, doubtful }: Report): void {
  expect(admitted).toBeLessThanOrEqual(LIMIT)
  expect(admitted + doubtful).toBeGreaterThanOrEqual(LIMIT)
}
