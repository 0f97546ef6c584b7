/**
 * `npm run leases -- [--minutes n] [--seed n]`: the random adversary of `test/models/lease-attack.ts` for so long, on other games each time. Ends with
 * exit code 1 at the first that uses more than the theorems of docs/leases.md allow, and names its seed.
 */
import { parseArgs } from 'node:util'
import { attack } from '../test/models/lease-attack.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } })
const minutes = Number(values.minutes)
if (!(minutes > 0)) throw new RangeError(`--minutes must be above 0, got ${values.minutes}`)
const first = values.seed === undefined ? Date.now() % 2 ** 30 : Number(values.seed)
if (!Number.isSafeInteger(first)) throw new RangeError(`--seed must be a whole number, got ${values.seed}`)

const end = performance.now() + minutes * 60_000
let [games, spans, closest] = [0, 0, 0]
let fault: string | undefined
while (fault === undefined && performance.now() < end) {
  const judged = attack(first + games)
  if (judged.fault !== undefined) fault = `seed ${first + games}: ${judged.fault}`
  spans += judged.spans
  closest = Math.max(closest, judged.closest)
  games++
}
console.log(
  `${games} games from seed ${first}, ${spans} spans, at most ${(closest * 100).toFixed(2)} % of the bound of GCRA`,
)
console.log(fault ?? 'no fault')
process.exitCode = fault === undefined ? 0 : 1
