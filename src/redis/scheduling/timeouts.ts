/** Gives up requests that have timed out, and replaces connections that have been silent for too long. */
import { StoreTimeoutError } from '../../errors.ts'
import type { Batch } from '../call/batch.ts'
import type { RedisConnection } from '../clients/client.ts'
import { LOOK_INTERVAL, SHORTEST_SILENCE, SILENCE } from '../limits.ts'
import type { SingleCommands } from './commands.ts'
import type { Node } from './queue.ts'
import type { Router } from './router.ts'

export interface TimeoutsContext {
  readonly connection: RedisConnection
  readonly router: Router
  readonly commands: SingleCommands
  /** ms until a request times out. */
  readonly timeout: number
  /** Whether lost calls are resent, so that a silent connection must be replaced before the timeout. */
  readonly resend: boolean
}

export class Timeouts {
  /** ms between two looks at what waits and what is in flight. */
  readonly interval: number
  /** Set once any request was cancelled or timed out, sent or not. From then on each batch is pruned before it is sent. */
  someGaveUp = false
  readonly #connection: RedisConnection
  readonly #router: Router
  readonly #commands: SingleCommands
  readonly #timeout: number
  /** ms without a reply, while calls are in flight, after which the connection is considered dead. */
  readonly #silence: number

  constructor({ connection, router, commands, timeout, resend }: TimeoutsContext) {
    const mode = resend ? 'resend' : 'once'
    this.interval = timeout * LOOK_INTERVAL[mode]
    this.#connection = connection
    this.#router = router
    this.#commands = commands
    this.#timeout = timeout
    this.#silence = Math.max(timeout * SILENCE[mode], SHORTEST_SILENCE)
  }

  /** Rejects all requests that have timed out by `now`, in ms of the process's steady clock. */
  expire(now: number): void {
    const latest = now - this.#timeout
    const unsent = new StoreTimeoutError(this.#timeout, false, this.#connection.failure)
    for (const node of this.#router.nodes) this.#checkLife(node, now)
    for (const queue of this.#router.queues()) {
      queue.order.expire(latest, unsent)
      // Remove batches without callers now. Otherwise they would be kept until there is a connection.
      queue.drop((batch) => this.giveUp(batch, now))
      // A batch in flight without callers must not count against the maximum of calls in flight.
      for (const batch of queue.inFlight()) if (this.giveUp(batch, now)) batch.finish()
    }
    if (this.#commands.expire(latest, this.#timeout) && this.#router.nodes.every(({ isIdle }) => isIdle))
      this.#connection.reopen('')
    this.#connection.giveUpHandshake(now)
  }

  /** When to look next. `undefined`: nothing waits. */
  next(now: number): number | undefined {
    const oldest = Math.min(this.#commands.oldest(now - this.#timeout), this.#router.oldest())
    return oldest === Number.POSITIVE_INFINITY ? undefined : Math.min(oldest + this.#timeout, now + this.interval)
  }

  /** Rejects requests of a batch that have timed out. True: no caller waits for the batch any more. */
  giveUp(batch: Batch, now: number): boolean {
    const latest = now - this.#timeout
    if (batch.askedAt > latest) return false
    this.someGaveUp = true
    const failure = batch.failure ?? (batch.sent ? undefined : this.#connection.failure)
    return batch.expire(latest, new StoreTimeoutError(this.#timeout, batch.sent, failure))
  }

  #checkLife(node: Node, now: number): void {
    if (node.silentSince === undefined) {
      if (node.callsInFlight > 0) node.silentSince = now
    } else if (now - node.silentSince >= this.#silence) {
      node.silentSince = undefined
      this.#connection.reopen(node.address)
    }
  }
}
