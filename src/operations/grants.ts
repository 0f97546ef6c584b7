/** What a holder is told of permits that were handed over. Lua: `lua/includes/permit_hand_over.lua`. */
import type { PermitHeader } from '../algorithms/concurrency.ts'

/** Publishes to a holder that tickets of its own were granted. Returns how many subscribers got the message. */
export type Tell = (holder: number, grants: Grants) => number

/** The message about tickets that were handed over in one step. */
export interface Grants {
  readonly now: number
  /** When the server had last heard of the holder. */
  readonly heard: number
  readonly header: PermitHeader
  readonly tickets: readonly GrantedTicket[]
}

export interface GrantedTicket {
  readonly serial: number
  readonly token: number
}

/** A message as it is published: all its numbers, in order. */
export function grantsIn(message: string): Grants {
  const [now = 0, heard = 0, last = 0, used = 0, waiting = 0, soonest = 0, endedAt = 0, interval = 0, ...pairs] =
    message.split(' ').map(Number)
  const tickets: GrantedTicket[] = []
  for (let at = 0; at + 1 < pairs.length; at += 2) tickets.push({ serial: pairs[at] ?? 0, token: pairs[at + 1] ?? 0 })
  return { now, heard, header: [last, used, waiting, soonest, endedAt, interval], tickets }
}
