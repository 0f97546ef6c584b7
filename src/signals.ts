/** Who waits on which signal: one listener a signal, however many wait, for Node takes more than ten for a leak and says so. */

interface Waiting {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

export class Signals {
  readonly #waiting = new WeakMap<AbortSignal, Waiting>()

  /** Calls back when the signal aborts, unless it is forgotten before. */
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
      // The newest first, for a turn is given back only while nobody has spent since.
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
 * What comes of the promise; when the signal aborts before, its reason at once. Whatever waits for a store comes by here.
 * @param late told what came of the promise when nobody waited for it any more
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
