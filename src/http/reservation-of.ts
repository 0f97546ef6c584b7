/** The reservations that middlewares have made, by their requests. */
import type { Reservation } from '../reservation.ts'

const reservations = new WeakMap<object, Reservation>()

/** Remembers a reservation under each object by which a framework knows its request. */
export function remember(reservation: Reservation, context: readonly unknown[]): void {
  const [first] = context
  if (typeof first !== 'object' || first === null) return
  reservations.set(first, reservation)
  for (const name of ['req', 'request', 'raw']) {
    const inner: unknown = Reflect.get(first, name)
    if (typeof inner === 'object' && inner !== null) reservations.set(inner, reservation)
  }
}

/**
 * The reservation that a middleware has made for a request: `settle` it by what the request has really cost, such as tokens. The last
 * one, if several middlewares have.
 * @param request what the framework hands to a handler: the request, or in Koa and Hono the context
 * @returns `undefined` if no middleware has reserved: it does with `inFlight`, with `counted` other than `'all'`, and on throttles with permits
 * @example
 * async function complete(request: Request): Promise<Response> {
 *   const tokens = 640
 *   await reservationOf(request)?.settle(tokens)
 *   return new Response('done')
 * }
 */
export function reservationOf(request: object): Reservation | undefined {
  return reservations.get(request)
}
