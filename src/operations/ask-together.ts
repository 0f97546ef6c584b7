/**
 * Asks for several subjects in one step, all or nothing: each spends in its layers without permits, and holds the permits of the others. Nothing is
 * spent or held before all subjects are looked at, so that one without room leaves the others as they are. Nobody waits here.
 * Lua: `lua/operations/permits_together.lua`.
 */
import { isBlocked } from '../algorithms/block.ts'
import { type BlockableSubject, strikeIfShort, withBlock } from '../algorithms/blockable.ts'
import { combineLayers } from '../algorithms/combine.ts'
import { answer, type Layer } from '../algorithms/driver.ts'
import { neededIn, spendsAny, spentIn, type Terms } from '../algorithms/terms.ts'
import type { RateLimitResult } from '../result.ts'
import type { Change, Found } from './operation.ts'
import { asSeen } from './peek-at-permits.ts'
import type { PermitRoom } from './permit-room.ts'
import { closeRooms, headerNumbers, holdsPermits, type PermitsAsked, roomsIn, takeHeaders } from './permits.ts'
import { marksOf, type Spent } from './reserve.ts'
import { BLOCKED, HELD, NO_ROOM } from './ticket-status.ts'
import type { Ticket } from './tickets.ts'

/** The code by which `lua/scripts/batch.lua` calls the operation. */
export const ASK_TOGETHER = 15

/** What is asked for one subject. */
export interface SubjectAsk {
  readonly quantity: number
  readonly terms: Terms | undefined
  /** 1: messages tell the process which of its tickets on this key were granted. */
  readonly listens: PermitsAsked['listens']
}

export interface TogetherAsk extends Omit<PermitsAsked, 'listens'> {
  /** Of the tickets of all subjects. No two subjects share a state, so each ticket has a set of its own. */
  readonly serial: number
  readonly subjects: readonly SubjectAsk[]
}

export interface SubjectAnswer extends Spent {
  /** The token of the first layer that holds permits for the subject. 0: none does. */
  readonly token: number
}

export interface AskedTogether {
  /** `HELD`, `NO_ROOM` or `BLOCKED`. */
  readonly status: number
  /** True if more could be handed over than one step may. */
  readonly more: boolean
  readonly subjects: readonly SubjectAnswer[]
}

/** A layer of one subject, and what is asked of it. */
interface Cell {
  readonly found: Found
  /** The layer's index. */
  readonly index: number
  readonly layer: Layer
  /** Units that must be available. 0: none. */
  readonly needed: number
  /** Units that are spent or held. */
  readonly units: number
  /** `undefined`: the layer has no permits. */
  readonly room: PermitRoom | undefined
  readonly ticket: Ticket
  readonly speaker: PermitsAsked
}

interface PermitCell extends Cell {
  readonly room: PermitRoom
}

interface Outcome {
  readonly status: number
  /** True if the layers without permits were spent. False for tickets that were held before. */
  readonly spent: boolean
  readonly more: boolean
  /** One per layer with permits. 0: nothing is held there. */
  readonly tokens: readonly number[]
}

/** Numbers in the script's reply before the tokens. */
const NUMBERS = 3

/** The arguments as the script reads them. */
export function togetherNumbers(ask: TogetherAsk, layersOf: readonly (readonly Layer[])[]): number[] {
  const numbers = [ask.holder, 0, ask.sharded, ask.serial]
  ask.subjects.forEach((subject, index) => {
    for (const layer of layersOf[index] ?? []) numbers.push(unitsNeeded(layer, subject), subject.listens)
  })
  return numbers
}

/** How many numbers the script replies in addition to the states. */
export function togetherReplies(layersOf: readonly (readonly Layer[])[]): number {
  const layers = layersOf.flat()
  return NUMBERS + layers.filter(holdsPermits).length + headerNumbers(layers)
}

/**
 * Decides on the states of all subjects, or reads from `said` how the script has decided.
 * @param founds one per subject
 * @returns for each subject the changes of its layers
 */
export function askTogether(
  founds: readonly Found[],
  ask: TogetherAsk,
  now: number,
): { readonly changes: readonly Change[][]; readonly answer: AskedTogether } {
  const asked = founds.map((found, index): Asked => ({ found, subject: ask.subjects[index] ?? NOBODY }))
  if (asked.some(isBlockedNow(now))) return refuseBlocked(asked, now)
  const cells = asked.flatMap(({ found, subject }) => cellsOf(found, subject, ask, now))
  const { status, spent, more, tokens } = founds[0]?.said === undefined ? decide(cells, now) : replay(asked, cells, now)
  const changes = founds.map((found) => (found.said === undefined ? closeRooms(found, now) : []))
  if (spent) {
    for (const { found, index, room, units } of cells) {
      const own = changes[founds.indexOf(found)]
      if (room === undefined && units > 0 && own !== undefined) own[index] = 'spent'
    }
  }
  if (status === NO_ROOM) for (const { found, subject } of asked) strikeIfShort(withTerms(found, subject), now)
  let nth = 0
  const subjects = asked.map(({ found, subject }) => {
    const own = found.layers.filter(holdsPermits).map(() => tokens[nth++] ?? 0)
    const result = resultOf(found, subject, status === HELD, now)
    const marks = spent ? marksOf(found, now) : undefined
    return { result, units: result.spent, marks, token: own.find((token) => token > 0) ?? 0 }
  })
  return { changes, answer: { status, more, subjects } }
}

interface Asked {
  readonly found: Found
  readonly subject: SubjectAsk
}

const NOBODY: SubjectAsk = { quantity: 0, terms: undefined, listens: 0 }

function takesPart({ quantity, terms }: SubjectAsk): boolean {
  return spendsAny(quantity, terms)
}

function isBlockedNow(now: number): (asked: Asked) => boolean {
  return ({ found: { block }, subject }) => block !== undefined && takesPart(subject) && isBlocked(block.state, now)
}

function withTerms({ layers, states, block }: Found, { quantity, terms }: SubjectAsk): BlockableSubject {
  return { layers, states, block, quantity, terms }
}

/** Units that must be available in a layer. 0: the subject only looks, and needs none. */
function unitsNeeded(layer: Layer, subject: SubjectAsk): number {
  return takesPart(subject) ? neededIn(layer, subject.quantity, subject.terms) : 0
}

function unitsSpent(layer: Layer, subject: SubjectAsk): number {
  return takesPart(subject) ? spentIn(layer, subject.quantity) : 0
}

/** A blocked key: nothing changes anywhere, not even what has lapsed. */
function refuseBlocked(asked: readonly Asked[], now: number): ReturnType<typeof askTogether> {
  let at = NUMBERS + asked.reduce((sum, { found: { layers } }) => sum + layers.filter(holdsPermits).length, 0)
  const subjects = asked.map(({ found, subject }) => {
    const result = resultOf(asSeen(found, now, at), subject, false, now)
    at += headerNumbers(found.layers)
    return { result, units: 0, marks: undefined, token: 0 }
  })
  return { changes: asked.map(() => []), answer: { status: BLOCKED, more: false, subjects } }
}

function resultOf(found: Found, subject: SubjectAsk, isHeld: boolean, now: number): RateLimitResult {
  const { layers, states, block } = found
  const admitted = isHeld && takesPart(subject)
  const results = layers.map((layer, index) => {
    const spent = admitted ? unitsSpent(layer, subject) : 0
    return answer(layer, states[index], neededIn(layer, subject.quantity, subject.terms), admitted, spent, now)
  })
  return withBlock(combineLayers(results, layers, subject.quantity), block, now)
}

function cellsOf(found: Found, subject: SubjectAsk, ask: TogetherAsk, now: number): Cell[] {
  const { holder, serial } = ask
  const speaker = { ...ask, listens: subject.listens }
  const rooms = found.said === undefined ? roomsIn(found, speaker, now) : []
  return found.layers.map((layer, index) => {
    const units = unitsSpent(layer, subject)
    const ticket = { holder, serial, quantity: units }
    return { found, index, layer, needed: unitsNeeded(layer, subject), units, room: rooms[index], ticket, speaker }
  })
}

function decide(cells: readonly Cell[], now: number): Outcome {
  const permits = cells.filter((cell): cell is PermitCell => cell.room !== undefined)
  const asking = permits.filter(({ units }) => units > 0)
  // What has lapsed goes to those who wait first, of whom some may be dead: then the caller's turn has come.
  let more = leaveRooms(permits)
  const scores = asking.map(({ room, ticket }) => room.find(ticket))
  const tokens = new Map<Cell, number>()
  let status = NO_ROOM
  let spent = false
  if (scores.length > 0 && scores.every((score) => score !== undefined && score > 0)) {
    status = HELD
    for (const cell of asking) tokens.set(cell, cell.room.renew(cell.ticket))
  } else {
    // After a clear of one key only the others know the ticket: all are asked anew.
    asking.forEach(({ room, ticket }, index) => {
      if (scores[index] !== undefined) room.end(ticket)
    })
    if (cells.every((cell) => hasRoom(cell, now))) {
      status = HELD
      spent = true
      spend(cells, now)
      for (const cell of asking) tokens.set(cell, cell.room.admit(cell.ticket))
    }
  }
  if (leaveRooms(permits)) more = true
  return { status, spent, more, tokens: permits.map((cell) => tokens.get(cell) ?? 0) }
}

function hasRoom({ found, index, layer, needed, units, room }: Cell, now: number): boolean {
  if (room !== undefined) return units === 0 || room.admits(units, 0, -1)
  return needed === 0 || needed <= layer.algorithm.available(found.states[index], now, layer.quota)
}

function spend(cells: readonly Cell[], now: number): void {
  for (const { found, index, layer, units } of cells) {
    if (holdsPermits(layer) || units === 0) continue
    found.states[index] = layer.algorithm.spend(found.states[index], units, now, layer.quota)
    found.present[index] = true
  }
}

/** Returns true if more could be handed over than one step may. */
function leaveRooms(cells: readonly PermitCell[]): boolean {
  let more = false
  for (const { room, speaker } of cells) {
    room.hear(speaker)
    if (room.handOver()) more = true
  }
  return more
}

function replay(asked: readonly Asked[], cells: readonly Cell[], now: number): Outcome {
  const said = asked[0]?.found.said ?? []
  const [status = NO_ROOM, spent = 0, more = 0] = said
  let at = NUMBERS + cells.filter(({ layer }) => holdsPermits(layer)).length
  const tokens = said.slice(NUMBERS, at)
  for (const { found } of asked) {
    takeHeaders(found, said, at)
    at += headerNumbers(found.layers)
  }
  if (spent === 1) spend(cells, now)
  return { status, spent: spent === 1, more: more === 1, tokens }
}
