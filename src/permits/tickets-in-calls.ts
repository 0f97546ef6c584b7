/** Tickets in one call. */
const TICKETS_IN_CALL = 100

/** Parts of tickets, each small enough for one call. */
export function inCalls<Ticket>(tickets: readonly Ticket[]): Ticket[][] {
  const calls: Ticket[][] = []
  for (let at = 0; at < tickets.length; at += TICKETS_IN_CALL) calls.push(tickets.slice(at, at + TICKETS_IN_CALL))
  return calls
}
