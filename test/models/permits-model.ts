/**
 * A model of the protocol of permits: two processes, three tickets, one permit, and a network that delays, reorders and loses. It visits every
 * interleaving within its bounds. Times are ticks; a lease is `LEASE` of them. The model shares no code with src.
 */

/** A fault that the model must find. */
export type Mutant =
  | 'no hand-over'
  | 'what lapsed is revived'
  | 'a fresh lease at the grant'
  | 'a second ask that does not renew'
  | 'a deadline counted from a later call'
  | 'nobody asks when a lease lapses'
  | 'ends by count instead of by name'

export interface Bounds {
  /** The process, 0 or 1, of each ticket. */
  readonly owners: readonly number[]
  /** Ticks. */
  readonly time: number
  readonly lost: number
  readonly deaths: number
  /** Calls that each ticket may send. */
  readonly calls: readonly number[]
  readonly inFlight: number
  /** States visited at most. */
  readonly states: number
  /** Of how many states one is tried: from there on nothing more is lost, and all who live must be served. */
  readonly servedEvery: number
}

const LEASE = 2
const COUNT = 1

type Kind = 'ask' | 'look' | 'end'
type Status = 'held' | 'waits' | 'unknown'
type Phase = 'idle' | 'asking' | 'waiting' | 'holding' | 'ending' | 'over'

interface Message {
  readonly to: 'server' | 'client'
  readonly kind: Kind | 'wake'
  readonly ticket: number
  /** When the call was sent; of a wake: when the server had last heard of the process. */
  readonly sent: number
  readonly status?: Status
  readonly now?: number
}

interface Held {
  ticket: number
  until: number
}

interface State {
  readonly owner: readonly number[]
  now: number
  lost: number
  deaths: number
  alive: boolean[]
  held: Held[]
  queue: number[]
  /** When each process is given up as a waiter. 0: it does not wait. */
  gone: number[]
  /** When the server last heard of each process. */
  heard: number[]
  phase: Phase[]
  deadline: number[]
  calls: number[]
  /** The last call of each process that was answered: when it was sent, and when the server heard it. */
  answered: { sent: number; now: number }[]
  network: Message[]
}

export interface Outcome {
  readonly states: number
  /** `undefined`: every state was visited, and all is well. */
  readonly fault?: string | undefined
}

export function explore(bounds: Bounds, mutant?: Mutant): Outcome {
  const model = new Model(bounds, mutant)
  const seen = new Set<string>()
  // Breadth first: the shortest way to a fault is found first.
  let states: State[] = [start(bounds.owners)]
  while (states.length > 0) {
    const nextStates: State[] = []
    for (const state of states) {
      const fault = model.faultIn(state) ?? (seen.size % bounds.servedEvery === 0 ? model.stuckFrom(state) : undefined)
      if (fault !== undefined) return { states: seen.size, fault }
      for (const next of model.next(state)) {
        const key = keyOf(next)
        if (seen.has(key)) continue
        seen.add(key)
        nextStates.push(next)
      }
      if (seen.size > bounds.states) return { states: seen.size, fault: `more than ${bounds.states} states` }
    }
    states = nextStates
  }
  return { states: seen.size }
}

/** Messages in flight have no order. */
function keyOf(state: State): string {
  state.network.sort((one, other) => codeOf(one) - codeOf(other))
  const { now, lost, deaths, alive, held, queue, gone, heard, phase, deadline, calls, answered, network } = state
  return [
    now,
    lost,
    deaths,
    alive.map(Number).join(''),
    held.map(({ ticket, until }) => ticket * 16 + until).join('.'),
    queue.join(''),
    gone.join('.'),
    heard.join('.'),
    phase.map((one) => PHASES.indexOf(one)).join(''),
    deadline.join('.'),
    calls.join(''),
    answered.map((one) => one.sent * 16 + one.now).join('.'),
    network.map(codeOf).join('.'),
  ].join()
}

const KINDS = ['ask', 'look', 'end', 'wake'] as const
const STATUSES = [undefined, 'held', 'waits', 'unknown'] as const
const PHASES = ['idle', 'asking', 'waiting', 'holding', 'ending', 'over']

function codeOf({ to, kind, ticket, sent, status, now = 0 }: Message): number {
  const what = (to === 'server' ? 0 : 4) + KINDS.indexOf(kind)
  return (((what * 4 + ticket) * 16 + sent) * 4 + STATUSES.indexOf(status)) * 16 + now
}

function copied(state: State): State {
  return {
    ...state,
    alive: [...state.alive],
    held: state.held.map((one) => ({ ...one })),
    queue: [...state.queue],
    gone: [...state.gone],
    heard: [...state.heard],
    phase: [...state.phase],
    deadline: [...state.deadline],
    calls: [...state.calls],
    answered: [...state.answered],
    network: [...state.network],
  }
}

function start(owners: readonly number[]): State {
  return {
    now: 1,
    lost: 0,
    deaths: 0,
    alive: [true, true],
    held: [],
    queue: [],
    gone: [0, 0],
    heard: [0, 0],
    owner: owners,
    phase: owners.map(() => 'idle'),
    deadline: owners.map(() => 0),
    calls: owners.map(() => 0),
    answered: [
      { sent: 0, now: 0 },
      { sent: 0, now: 0 },
    ],
    network: [],
  }
}

class Model {
  readonly #bounds: Bounds
  readonly #mutant: Mutant | undefined

  constructor(bounds: Bounds, mutant: Mutant | undefined) {
    this.#bounds = bounds
    this.#mutant = mutant
  }

  /** What must hold in every state. */
  faultIn(state: State): string | undefined {
    const believed = state.phase.filter(
      (phase, ticket) => phase === 'holding' && isAlive(state, ticket) && (state.deadline[ticket] ?? 0) > state.now,
    )
    if (believed.length > COUNT) return `${believed.length} hold at once: ${JSON.stringify(state)}`
    for (const { ticket, until } of state.held) {
      const heard = state.heard[state.owner[ticket] ?? 0] ?? 0
      if (until > heard + LEASE) return `ticket ${ticket} outlives its process: ${JSON.stringify(state)}`
    }
    return undefined
  }

  /** From here on nothing more is lost and nobody dies: all who live and have asked must be served. */
  stuckFrom(from: State): string | undefined {
    const state = copied(from)
    for (let round = 0; round < 12; round++) {
      for (let step = 0; state.network.length > 0 && step < 100; step++) {
        const message = state.network.shift()
        if (message !== undefined) this.#deliver(state, message, () => true)
      }
      for (const [ticket, phase] of state.phase.entries()) {
        if (!isAlive(state, ticket)) continue
        if (phase === 'asking') this.#send(state, 'ask', ticket)
        if (phase === 'waiting' && this.#mutant !== 'nobody asks when a lease lapses') this.#send(state, 'look', ticket)
        if (phase === 'holding' || phase === 'ending') this.#end(state, ticket)
      }
      this.#tick(state)
    }
    const left = state.phase.findIndex(
      (phase, ticket) => isAlive(state, ticket) && phase !== 'idle' && phase !== 'over',
    )
    return left < 0 ? undefined : `ticket ${left} is never served: ${JSON.stringify(from)}`
  }

  next(state: State): State[] {
    const states: State[] = []
    const add = (change: (next: State) => void): void => {
      const next = copied(state)
      change(next)
      states.push(next)
    }
    for (const [index, message] of state.network.entries()) {
      const take = (next: State): void => {
        next.network.splice(index, 1)
      }
      let published = false
      add((next) => {
        take(next)
        this.#deliver(next, message, () => {
          published = true
          return true
        })
      })
      // A process may be deaf for a while, though it lives.
      if (published) {
        add((next) => {
          take(next)
          this.#deliver(next, message, () => false)
        })
      }
      if (state.lost < this.#bounds.lost) {
        add((next) => {
          take(next)
          next.lost++
        })
      }
    }
    if (state.network.length < this.#bounds.inFlight) {
      for (const [ticket, phase] of state.phase.entries()) {
        if (!isAlive(state, ticket) || (state.calls[ticket] ?? 0) >= (this.#bounds.calls[ticket] ?? 0)) continue
        if (phase === 'idle' || phase === 'asking') add((next) => this.#send(next, 'ask', ticket))
        if (phase === 'waiting' || phase === 'holding') add((next) => this.#send(next, 'look', ticket))
        if (phase === 'holding' || phase === 'ending') add((next) => this.#end(next, ticket))
      }
    }
    if (state.deaths < this.#bounds.deaths) {
      for (const process of state.alive.keys()) {
        add((next) => {
          next.alive[process] = false
          next.deaths++
        })
      }
    }
    if (state.now < this.#bounds.time) add((next) => this.#tick(next))
    return states
  }

  #tick(state: State): void {
    state.now++
    for (const [ticket, phase] of state.phase.entries())
      if (phase === 'holding' && (state.deadline[ticket] ?? 0) <= state.now) state.phase[ticket] = 'over'
  }

  #send(state: State, kind: Kind, ticket: number): void {
    if (state.phase[ticket] === 'idle') state.phase[ticket] = 'asking'
    state.calls[ticket] = (state.calls[ticket] ?? 0) + 1
    state.network.push({ to: 'server', kind, ticket, sent: state.now })
  }

  #end(state: State, ticket: number): void {
    state.phase[ticket] = 'ending'
    this.#send(state, 'end', ticket)
  }

  #deliver(state: State, message: Message, reaches: (ticket: number) => boolean): void {
    if (message.to === 'server') this.#serve(state, message, reaches)
    else if (isAlive(state, message.ticket)) this.#learn(state, message)
  }

  #serve(state: State, { kind, ticket, sent }: Message, reaches: (ticket: number) => boolean): void {
    const { now } = state
    const owner = state.owner[ticket] ?? 0
    state.heard[owner] = now
    if (this.#mutant !== 'what lapsed is revived') this.#sweep(state)
    const held = state.held.find((one) => one.ticket === ticket)
    let status: Status = 'unknown'
    if (kind === 'end') {
      if (this.#mutant === 'ends by count instead of by name') state.held.pop()
      else state.held = state.held.filter((one) => one.ticket !== ticket)
      state.queue = state.queue.filter((one) => one !== ticket)
    } else if (held !== undefined) {
      status = 'held'
      if (kind === 'look' || this.#mutant !== 'a second ask that does not renew') held.until = now + LEASE
    } else if (state.queue.includes(ticket)) status = 'waits'
    else if (kind === 'ask') {
      this.#sweep(state)
      if (state.held.length < COUNT && state.queue.length === 0) {
        state.held.push({ ticket, until: now + LEASE })
        status = 'held'
      } else {
        state.queue.push(ticket)
        status = 'waits'
      }
    }
    if (state.queue.some((one) => state.owner[one] === owner)) state.gone[owner] = now + LEASE
    if (this.#mutant !== 'no hand-over') this.#handOver(state, reaches)
    if (status === 'waits' && state.held.some((one) => one.ticket === ticket)) status = 'held'
    state.network.push({ to: 'client', kind, ticket, sent, status, now })
  }

  #sweep(state: State): void {
    state.held = state.held.filter(({ until }) => until > state.now)
    for (const [process, gone] of state.gone.entries()) if (gone <= state.now) this.#takeOff(state, process)
  }

  #takeOff(state: State, process: number): void {
    state.gone[process] = 0
    state.queue = state.queue.filter((ticket) => state.owner[ticket] !== process)
  }

  #handOver(state: State, reaches: (ticket: number) => boolean): void {
    while (state.held.length < COUNT) {
      const ticket = state.queue.shift()
      if (ticket === undefined) return
      const owner = state.owner[ticket] ?? 0
      const gone = state.gone[owner] ?? 0
      if (gone <= state.now) continue
      if (!reaches(ticket)) {
        this.#takeOff(state, owner)
        continue
      }
      state.held.push({ ticket, until: this.#mutant === 'a fresh lease at the grant' ? state.now + LEASE : gone })
      state.network.push({ to: 'client', kind: 'wake', ticket, sent: gone - LEASE })
    }
  }

  #learn(state: State, { kind, ticket, sent, status, now = 0 }: Message): void {
    const owner = state.owner[ticket] ?? 0
    const phase = state.phase[ticket]
    if (kind === 'wake') {
      const answered = state.answered[owner]
      // Nothing is known of when the server heard of us: the next look tells.
      if (phase !== 'waiting' && phase !== 'asking') return
      if (answered === undefined || answered.now === 0 || answered.now > sent) return
      this.#hold(state, ticket, answered.sent)
      return
    }
    const answered = state.answered[owner]
    if (answered === undefined || now >= answered.now) state.answered[owner] = { sent, now }
    if (kind === 'end') {
      if (phase === 'ending') state.phase[ticket] = 'over'
      return
    }
    if (phase === 'holding') {
      if (status === 'held') this.#hold(state, ticket, sent)
      else if (kind === 'look' && status === 'unknown') state.phase[ticket] = 'over'
    } else if (phase === 'asking' || phase === 'waiting') {
      if (status === 'held') this.#hold(state, ticket, sent)
      else state.phase[ticket] = status === 'waits' ? 'waiting' : 'asking'
    }
  }

  #hold(state: State, ticket: number, sent: number): void {
    const from = this.#mutant === 'a deadline counted from a later call' ? state.now : sent
    const deadline = Math.max(state.phase[ticket] === 'holding' ? (state.deadline[ticket] ?? 0) : 0, from + LEASE)
    state.deadline[ticket] = deadline
    state.phase[ticket] = deadline > state.now ? 'holding' : 'over'
  }
}

function isAlive({ alive, owner }: State, ticket: number): boolean {
  return alive[owner[ticket] ?? 0] === true
}
