/** Commands in flight when an ioredis client loses its connection: its options decide whether they are resent, rejected or forgotten. */

import { SlotList } from '../../slot-list.ts'
import type { ReplyReceiver } from './client.ts'
import { ConnectionEvents } from './connection-events.ts'
import type { IoredisClient } from './ioredis-shape.ts'
import { warn } from './warn.ts'

const warned = new WeakSet<IoredisClient>()

/** Warns, once per client, if its options make it resend commands. */
export function warnOfSendingAgain(client: IoredisClient): void {
  if (warned.has(client) || !sendsAgain(client)) return
  warned.add(client)
  warn(
    'ONRUSH_CLIENT_SENDS_AGAIN',
    `The ${client.isCluster ? 'Cluster' : 'Redis'} client given to RedisStore sends a command again when its reply was lost, so that ` +
      `a check may be counted twice. Give the client \`${client.isCluster ? 'retryDelayOnFailover: 0' : 'autoResendUnfulfilledCommands: false'}\`, ` +
      'or the store `resend: true`, with which nothing is counted twice.',
  )
}

function sendsAgain({ isCluster, options }: IoredisClient): boolean {
  if (isCluster) return options.retryDelayOnFailover !== 0
  return options.autoResendUnfulfilledCommands !== false && options.maxRetriesPerRequest !== 0
}

/** True for options with which ioredis never settles the commands that were in flight on a lost connection. */
export function forgets({ isCluster, options }: IoredisClient): boolean {
  return !isCluster && options.autoResendUnfulfilledCommands === false && options.maxRetriesPerRequest !== 0
}

/** Rejects the commands in flight when the connection is lost, for a client that would never settle them. */
export class PendingReplies {
  static readonly #known = new WeakMap<IoredisClient, PendingReplies>()
  readonly #fail = new SlotList<(error: Error) => void>()

  /** The one instance for a client. */
  static of(client: IoredisClient): PendingReplies {
    const known = PendingReplies.#known.get(client) ?? new PendingReplies(client)
    PendingReplies.#known.set(client, known)
    return known
  }

  private constructor(client: IoredisClient) {
    ConnectionEvents.of(client).on('close', () => {
      for (const fail of this.#fail.items()) fail(new Error('the connection is closed'))
    })
  }

  /** As `watch`, for a command that calls back: the receiver to give it. */
  receiver(receiver: ReplyReceiver): ReplyReceiver {
    const settled = (): void => this.#fail.release(fail, index)
    const fail = (error: unknown): void => {
      settled()
      receiver.failed(error)
    }
    const index = this.#fail.add(fail)
    return {
      replied: (reply) => {
        settled()
        receiver.replied(reply)
      },
      failed: fail,
    }
  }

  watch(reply: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const index = this.#fail.add(reject)
      reply.then(
        (answer) => {
          this.#fail.release(reject, index)
          resolve(answer)
        },
        (error: unknown) => {
          this.#fail.release(reject, index)
          reject(error)
        },
      )
    })
  }
}
