/** Callbacks for abort signals. One listener per signal, because Node warns of a leak from the eleventh listener on. */

interface Waiting {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

export class Signals {
  readonly #waiting = new WeakMap<AbortSignal, Waiting>()

  /** Calls `callback` when the signal aborts, unless `forget` is called first. */
  add(signal: AbortSignal, callback: () => void): void {
    const waiting = this.#waiting.get(signal) ?? this.#listen(signal)
    waiting.callbacks.add(callback)
  }

  forget(signal: AbortSignal, callback: () => void): void {
    const waiting = this.#waiting.get(signal)
    if (waiting === undefined) return
    waiting.callbacks.delete(callback)
    if (waiting.callbacks.size > 0) return
    signal.removeEventListener('abort', waiting.listener)
    this.#waiting.delete(signal)
  }

  #listen(signal: AbortSignal): Waiting {
    const callbacks = new Set<() => void>()
    const listener = (): void => {
      // The newest first, because a turn can be given back only while no later one was promised.
      for (const callback of [...callbacks].reverse()) callback()
    }
    signal.addEventListener('abort', listener, { once: true })
    const waiting = { callbacks, listener }
    this.#waiting.set(signal, waiting)
    return waiting
  }
}

const heeded = new Signals()

/**
 * Settles as the promise does, or rejects with the signal's reason as soon as the signal aborts. Every wait for a store goes through here.
 * @param late called with the value if the promise resolves after the abort
 */
export function heed<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  late: (value: T) => void = () => {},
): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      reject(signal.reason)
      promise.then(late, () => {})
    }
    const forget = (): void => heeded.forget(signal, leave)
    promise.then(forget, forget)
    promise.then(resolve, reject)
    if (signal.aborted) leave()
    else heeded.add(signal, leave)
  })
}
