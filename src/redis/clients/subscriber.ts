/** Connections that listen to channels, beside those that send commands. */

/** The events of a subscriber. */
export interface SubscriberEvents {
  message(text: string): void
  /** Channels to which it has subscribed, perhaps again; messages may have been missed. */
  subscribed(channels: readonly string[]): void
  /** Channels whose messages do not arrive any more, until it has subscribed again. */
  lost(channels: readonly string[]): void
}

export interface Subscriber {
  /** Subscribes now, and again after each loss of the connection. Where that is not allowed, `subscribed` is never told. */
  subscribe(channel: string): void
  unsubscribe(channel: string): void
  close(): void
}
