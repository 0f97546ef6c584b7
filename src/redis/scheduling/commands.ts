/** Single commands, apart from the calls that decide checks: each fails at the store's timeout. */
import { type StoreError, StoreTimeoutError } from '../../errors.ts'
import { SlotList } from '../../slot-list.ts'
import type { RedisConnection } from '../clients/client.ts'
import { FailoverWatch } from '../clients/failover-watch.ts'
import { unavailable } from '../errors.ts'

interface SingleCommand {
  readonly askedAt: number
  reject: (reason: StoreError) => void
  sent: boolean
}

export class SingleCommands {
  readonly #connection: RedisConnection
  /** Number of commands that wait or are in flight. A field, because it is read for each call. */
  inFlight = 0
  readonly #commands = new SlotList<SingleCommand>()
  readonly #watch: FailoverWatch

  constructor(connection: RedisConnection) {
    this.#connection = connection
    this.#watch = new FailoverWatch(connection)
  }

  /** Runs `work` as soon as the connection is open, unless the command times out first. */
  async run<T>(askedAt: number, work: () => Promise<T>): Promise<T> {
    const command: SingleCommand = { askedAt, reject: () => {}, sent: false }
    const late = new Promise<never>((_, reject) => {
      command.reject = reject
    })
    const index = this.#commands.add(command)
    this.inFlight++
    try {
      await Promise.race([this.#opened(), late])
      command.sent = true
      return await Promise.race([work(), late])
    } catch (error) {
      if (this.#connection.answered(error)) this.#watch.refused(error, '')
      throw unavailable(error)
    } finally {
      this.#commands.release(command, index)
      this.inFlight--
    }
  }

  /** Rejects commands asked at `latest` or before. Returns whether one of them had been sent. */
  expire(latest: number, timeout: number): boolean {
    let unanswered = false
    for (const { askedAt, reject, sent } of this.#commands.items()) {
      if (askedAt > latest) continue
      unanswered ||= sent
      reject(new StoreTimeoutError(timeout, sent, sent ? undefined : this.#connection.failure))
    }
    return unanswered
  }

  /** When the oldest of the commands asked after `latest` was asked. `Infinity`: there is none. */
  oldest(latest: number): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { askedAt } of this.#commands.items()) if (askedAt > latest) oldest = Math.min(oldest, askedAt)
    return oldest
  }

  async #opened(): Promise<void> {
    let opening = this.#connection.opening()
    while (opening !== undefined) {
      await opening
      opening = this.#connection.opening()
    }
  }
}
