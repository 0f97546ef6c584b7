/** The protocol of permits, in every interleaving of small worlds; and that the model finds what it is for. `npm run model` goes deeper. */
import { expect, test } from 'vitest'
import { type Bounds, explore, type Mutant } from './permits-model.ts'

const TWO = { owners: [0, 1], time: 4, lost: 0, deaths: 0, calls: [2, 2], inFlight: 2, states: 100_000, servedEvery: 4 }
const THREE = { ...TWO, owners: [0, 0, 1], calls: [2, 1, 2] }

test.each<[world: string, bounds: Bounds]>([
  ['two tickets, a lost message and a death', { ...TWO, time: 2, lost: 1, deaths: 1 }],
  ['two tickets, a lost message and leases that lapse', { ...TWO, time: 3, lost: 1 }],
  ['three tickets and leases that lapse', { ...THREE, time: 2 }],
  ['three tickets and a lost message', { ...THREE, time: 1, lost: 1 }],
])(
  'with %s, never more hold than there are permits, none outlives its process, and all who live are served',
  (_, bounds) => {
    const { states, fault } = explore(bounds)
    expect(fault).toBeUndefined()
    expect(states).toBeGreaterThan(1000)
  },
)

test.each<[Mutant, Bounds]>([
  ['no hand-over', TWO],
  ['what lapsed is revived', TWO],
  ['a fresh lease at the grant', TWO],
  ['a second ask that does not renew', TWO],
  ['a deadline counted from a later call', TWO],
  ['nobody asks when a lease lapses', { ...TWO, deaths: 1 }],
  ['ends by count instead of by name', { ...THREE, calls: [3, 1, 1], time: 1 }],
])('the model finds %s', (mutant, bounds) => {
  expect(explore(bounds, mutant).fault).toMatch(/hold at once|outlives|never served/)
})
