/** How much memory is in use. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Bytes, garbage collected. */
export function heapUsed(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
