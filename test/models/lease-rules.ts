/** The rule of leases, and its mutants, which games and adversary must find. A mutant deceives the functions of src; it does not replace them. */
import type { CompleteAlgorithm } from '../../src/algorithms/algorithm.ts'
import type { Layer } from '../../src/algorithms/driver.ts'
import type { LeaseCharge } from '../../src/algorithms/lease.ts'
import { type Instant, Lease } from '../../src/leases/lease.ts'

export interface LeaseRules {
  /** The algorithm as leases see it. */
  readonly seen: (algorithm: CompleteAlgorithm) => CompleteAlgorithm
  /** From when on the lease counts, of a call sent and answered at these times. */
  readonly beginsAt: (sent: Instant, replied: Instant) => Instant
  /** How much longer the lease lasts than the rule says. */
  readonly stretched: number
  /** True: the wall clock ends a lease too. */
  readonly heedsWall: boolean
  readonly givesBack: boolean
}

export const HONEST: LeaseRules = {
  seen: (algorithm) => algorithm,
  beginsAt: (sent) => sent,
  stretched: 1,
  heedsWall: true,
  givesBack: false,
}

export const MUTANTS = {
  "no cut at the window's end": { ...HONEST, seen: ({ endsAt, ...algorithm }) => algorithm },
  'the moving window charged at now': { ...HONEST, seen: ({ leasedAt, ...algorithm }) => algorithm },
  'the lease counted from the reply': { ...HONEST, beginsAt: (_sent, replied) => replied },
  'giving back': { ...HONEST, givesBack: true },
  'no margin for clocks that run slow': { ...HONEST, stretched: 1 / 0.999 },
  'a lease that sleeps with the machine': { ...HONEST, heedsWall: false },
} satisfies Record<string, LeaseRules>

export function seenBy<Of extends Layer>({ seen }: LeaseRules, layers: readonly Of[]): Of[] {
  return layers.map((layer) => ({ ...layer, algorithm: seen(layer.algorithm) }))
}

/** The lease that a call has brought. */
export function leaseBy(
  { beginsAt, stretched }: LeaseRules,
  layers: readonly Layer[],
  charge: LeaseCharge,
  within: number,
  { sent, replied }: { readonly sent: Instant; readonly replied: Instant },
): Lease {
  const lasting = { ...charge, windowLeft: charge.windowLeft * stretched }
  return new Lease(layers, lasting, within * stretched, beginsAt(sent, replied), replied.steady)
}
