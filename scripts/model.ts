/** Visits more of the model of permits than the tests have time for: `npm run model`. Some minutes. */
import { explore } from '../test/models/permits-model.ts'

const BASE = { time: 3, lost: 1, deaths: 1, inFlight: 2, states: 5_000_000, servedEvery: 16 }

for (const bounds of [
  { ...BASE, owners: [0, 1], calls: [2, 2] },
  { ...BASE, owners: [0, 1], calls: [3, 2], deaths: 0 },
  { ...BASE, owners: [0, 0, 1], calls: [2, 1, 2], time: 2 },
  { ...BASE, owners: [0, 0, 1], calls: [2, 2, 2], time: 2, lost: 0, deaths: 0 },
]) {
  const started = performance.now()
  const { states, fault } = explore(bounds)
  console.log(
    `${JSON.stringify(bounds)}: ${states} states in ${Math.round(performance.now() - started)} ms: ${fault ?? 'no fault'}`,
  )
  if (fault !== undefined) process.exitCode = 1
}
