/** The tickets of a key's permits: who holds, and who waits. */
import type { LiveStore } from './connection.ts'

export interface Ticket {
  /** The random number of the store object that holds or waits. */
  readonly holder: number
  readonly serial: number
  readonly quantity: number
  /** Until when the permit is held unless renewed, in ms since the epoch. Of a ticket that waits: 0. */
  readonly until: number
  readonly waits: boolean
}

/** The most tickets that are shown. */
const MOST = '1000'

/** A member of the set is three doubles: holder, serial and quantity. Serial 0 is a process, and not a ticket. */
export async function ticketsOf(live: LiveStore, name: string): Promise<Ticket[]> {
  const reply = await live.ofItsType('ZRANGE', [name, '0', MOST, 'WITHSCORES'])
  const items: unknown[] = Array.isArray(reply) ? reply.flat() : []
  const tickets: Ticket[] = []
  for (let at = 0; at + 1 < items.length; at += 2) {
    const member = items[at]
    const score = Number(String(items[at + 1]))
    if (!Buffer.isBuffer(member) || member.length !== 24) continue
    const [holder, serial, quantity] = [member.readDoubleBE(0), member.readDoubleBE(8), member.readDoubleBE(16)]
    if (serial > 0) tickets.push({ holder, serial, quantity, until: Math.max(score / 1000, 0), waits: score < 0 })
  }
  return tickets
}
