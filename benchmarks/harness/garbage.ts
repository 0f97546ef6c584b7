/** Collects garbage on demand, so that no contestant pays for the garbage of the one before. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
// Otherwise V8 would flush a contestant's compiled code during the turns of the others.
setFlagsFromString('--no-flush-bytecode')

export const collectGarbage: () => void = runInNewContext('gc')
