/** The server's answers about a ticket. Lua: `lua/includes/permit_tickets.lua`. */

/** The state of a ticket: `UNKNOWN`, `HELD` or `WAITS`. `NO_ROOM`, `QUEUE_FULL` and `BLOCKED` say why a request got no ticket. */
export const UNKNOWN = 0
export const HELD = 1
export const WAITS = 2
export const NO_ROOM = 3
export const QUEUE_FULL = 4
export const BLOCKED = 5
