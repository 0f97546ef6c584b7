/** Custom stores give back and settle as the in-process stores do. */
import fc from 'fast-check'
import { type BaseStore, type Clock, DictionaryStore, Throttle, TlruCacheStore } from 'onrush'
import { expect, test } from 'vitest'
import { starts } from '../support/exact/arbitraries.ts'
import { runs } from '../support/exact/pair.ts'
import type { LimiterLayer } from '../support/redis/implementations.ts'
import { layers, Plan, rounds, Side } from '../support/reserve/interleaving.ts'
import { MapStore } from '../support/stores/map-store.ts'
import { TextDatabase, TextStore } from '../support/stores/text-store.ts'

function sideOn(store: BaseStore, chosen: readonly LimiterLayer[]): Side {
  return new Side(
    new Throttle({ layers: chosen.map(({ counting, rate }) => ({ limiter: new counting.Limiter({ store }), rate })) }),
  )
}

test.each<[string, (clock: Clock) => BaseStore]>([
  ['with get and set', (clock) => new MapStore({ clock })],
  ['with an atomic compareAndSwap', (clock) => new TextStore(new TextDatabase(() => clock() / 1000), clock)],
  ['in bounded memory', (clock) => new TlruCacheStore({ maxSize: 100, ttl: '1h', clock })],
])('a store %s answers checks, refunds, reservations and settlements as a DictionaryStore does', async (_, open) => {
  await fc.assert(
    // Time only goes forwards: a store forgets when it may, and then a window that was stepped back into is given anew.
    fc.asyncProperty(starts, layers, rounds({ most: 2, back: false }), async (start, chosen, list) => {
      let now = Number(start)
      const clock = () => now
      const own = sideOn(open(clock), chosen)
      const other = sideOn(new DictionaryStore({ clock }), chosen)
      const plan = new Plan(chosen)
      for (const round of list) {
        now += plan.elapsed(round)
        const planned = plan.of(round)
        for (const each of planned) expect(await own.answer(each)).toStrictEqual(await other.answer(each))
        plan.note(planned, other)
      }
    }),
    runs(60),
  )
})
