/** Decorated classes on a store that other processes may share, in a file of their own: tests load it through tsx. */
import { GcraLimiter, Quota, Throttle, throttled } from 'onrush'
import { MapStore } from '../stores/map-store.ts'

export const throttle = new Throttle({ limiter: new GcraLimiter({ store: new MapStore() }), rate: Quota.perDay(10) })

export class Unstated {
  @throttled(throttle) async call(): Promise<void> {}

  @throttled(throttle) static async ping(): Promise<void> {}

  @throttled(throttle, { key: 'given' }) async keyed(): Promise<void> {}
}

export class Stated {
  static readonly name = 'mailer'

  @throttled(throttle) async call(): Promise<void> {}

  @throttled(throttle) static async ping(): Promise<void> {}
}

export class Getter {
  static get name(): string {
    return 'getter'
  }

  @throttled(throttle) async call(): Promise<void> {}
}

export class Heir extends Stated {
  @throttled(throttle) override async call(): Promise<void> {}
}
