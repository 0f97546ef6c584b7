/** Splits what a Redis client sends into its requests. */

export interface RedisRequest {
  /** The first word, in capitals: `EVALSHA`. */
  readonly command: string
  /** The request as it went over the wire. */
  readonly bytes: Buffer
}

const LINE_END = '\r\n'

export class RequestSplitter {
  #rest: Buffer = Buffer.alloc(0)

  /** The requests that `chunk` completes. */
  push(chunk: Buffer): RedisRequest[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const requests: RedisRequest[] = []
    for (let request = first(this.#rest); request !== undefined; request = first(this.#rest)) {
      requests.push(request)
      this.#rest = this.#rest.subarray(request.bytes.length)
    }
    return requests
  }
}

/** The request at the start: an array of bulk strings, which is all that clients send. */
function first(bytes: Buffer): RedisRequest | undefined {
  const count = header(bytes, 0, '*')
  if (count === undefined) return undefined
  let at = count.end
  let command = ''
  for (let index = 0; index < count.value; index++) {
    const word = header(bytes, at, '$')
    if (word === undefined) return undefined
    if (index === 0) command = bytes.toString('latin1', word.end, word.end + word.value).toUpperCase()
    at = word.end + word.value + LINE_END.length
  }
  return at <= bytes.length ? { command, bytes: bytes.subarray(0, at) } : undefined
}

/** A line such as `*3` or `$12`, and where it ends. */
function header(bytes: Buffer, at: number, mark: '*' | '$'): { value: number; end: number } | undefined {
  const end = bytes.indexOf(LINE_END, at)
  if (end === -1) return undefined
  const line = bytes.toString('latin1', at, end)
  if (!line.startsWith(mark)) throw new Error(`Expected a request in RESP, got '${line}'`)
  return { value: Number(line.slice(1)), end: end + LINE_END.length }
}
