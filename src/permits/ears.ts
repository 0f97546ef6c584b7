/** How a process hears that a ticket of its own was granted by somebody else's call. */

export interface Ears {
  /** 1: in a cluster, where messages are sent on sharded channels. */
  readonly sharded: 0 | 1
  /** True if messages about the key reach this process now. */
  hears(key: string): boolean
  /** Begins to listen for messages about the key. */
  listen(key: string): void
  close(): void
}

/** Receives the messages about permits that were granted. */
export interface Listener {
  readonly holder: number
  /** A message: `Grants` as text. */
  told(message: string): void
  /** Messages have begun to arrive, perhaps again; some may have been missed. */
  connected(): void
  /** Some messages do not arrive any more. */
  lost(): void
}

export type OpenEars = (listener: Listener) => Ears
