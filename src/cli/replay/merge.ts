/** Merges logs by time: those of several servers, and those of one server that were rotated. */
import type { SimulatedRequest } from '../../simulate/index.ts'

class Head {
  readonly #source: AsyncIterator<readonly SimulatedRequest[]>
  requests: readonly SimulatedRequest[] = []

  constructor(source: AsyncIterable<readonly SimulatedRequest[]>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  get time(): number {
    return Number(this.requests[0]?.time)
  }

  /** Reads on until there are requests. @returns false at the end */
  async fill(): Promise<boolean> {
    while (this.requests.length === 0) {
      const { done, value } = await this.#source.next()
      if (done === true) return false
      this.requests = value
    }
    return true
  }

  /** Removes the requests up to a time, at least one. */
  take(until: number): readonly SimulatedRequest[] {
    let end = 1
    while (end < this.requests.length && Number(this.requests[end]?.time) <= until) end++
    const taken = this.requests.slice(0, end)
    this.requests = this.requests.slice(end)
    return taken
  }
}

/** The requests of all sources, by time as far as each source is in order. */
export async function* mergedByTime(
  sources: readonly AsyncIterable<readonly SimulatedRequest[]>[],
): AsyncGenerator<readonly SimulatedRequest[]> {
  let heads = sources.map((source) => new Head(source))
  for (;;) {
    const filled = await Promise.all(heads.map((head) => head.fill()))
    heads = heads.filter((_, index) => filled[index])
    const [first, second] = [...heads].sort((a, b) => a.time - b.time)
    if (first === undefined) return
    yield first.take(second?.time ?? Number.POSITIVE_INFINITY)
  }
}
