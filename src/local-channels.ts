/** Diagnostics channels for a runtime without `node:diagnostics_channel`: the part of that module that onrush uses. */

/** Like a subscriber of `node:diagnostics_channel`. */
type Listener = (message: unknown, name: string | symbol) => void

class LocalChannel {
  readonly #name: string
  readonly listeners = new Set<Listener>()

  constructor(name: string) {
    this.#name = name
  }

  get hasSubscribers(): boolean {
    return this.listeners.size > 0
  }

  publish(message: unknown): void {
    for (const listener of this.listeners) listener(message, this.#name)
  }
}

const channels = new Map<string, LocalChannel>()

function channel(name: string): LocalChannel {
  const known = channels.get(name)
  if (known !== undefined) return known
  const made = new LocalChannel(name)
  channels.set(name, made)
  return made
}

export const localChannels = {
  channel,
  subscribe(name: string, listener: Listener): void {
    channel(name).listeners.add(listener)
  },
  unsubscribe(name: string, listener: Listener): boolean {
    return channel(name).listeners.delete(listener)
  },
}
