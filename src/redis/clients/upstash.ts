/**
 * Adapter for `@upstash/redis`, which asks Redis over HTTP: one request a call. The client's own `request` is not used, because it resends calls that
 * may have been counted, and reads replies as text. Replies come in base64 and are decoded to bytes. A request is JSON, so bytes that are not
 * valid UTF-8 travel as hexadecimal digits, which a script unpacks.
 */
import { LONGEST_TIMER } from '../../bounds.ts'
import { StoreTimeoutError } from '../../errors.ts'
import { ServerError, SingleServerConnection } from './single-server.ts'
import { httpOf, type UpstashClient, type UpstashHttp } from './upstash-shape.ts'

type Argument = string | Buffer

export class UpstashConnection extends SingleServerConnection {
  override readonly isClosed = false
  override readonly isHttp = true
  readonly #http: UpstashHttp
  readonly #timeout: number

  /** @param timeout in ms. A request without a response by then is aborted. */
  constructor(client: UpstashClient, timeout: number) {
    super()
    const http = httpOf(client)
    if (http === undefined)
      throw new TypeError('a client of @upstash/redis with a Requester of its own is not supported')
    this.#http = http
    this.#timeout = timeout
  }

  override async send(name: string, args: readonly Argument[]): Promise<unknown> {
    const texts = args.map(textOf)
    if (isComplete(texts)) return this.#ask([name, ...texts])
    // A hash does not tell the script, which must unpack the bytes. This answer makes its source be sent.
    if (name === 'EVALSHA') throw new ServerError('NOSCRIPT the arguments are bytes')
    if (name === 'EVAL') return this.#ask([name, ...unpacking(args, texts)])
    throw new TypeError(`${name} cannot be sent over HTTP with arguments that are no text in UTF-8`)
  }

  async #ask(command: readonly string[]): Promise<unknown> {
    const { baseUrl, headers, options, readYourWrites, upstashSyncToken } = this.#http
    const signal = AbortSignal.timeout(Math.min(Math.ceil(this.#timeout), LONGEST_TIMER))
    const synced = readYourWrites === true && upstashSyncToken ? { 'upstash-sync-token': upstashSyncToken } : {}
    const request = {
      ...kept(options),
      signal,
      method: 'POST',
      headers: { ...headers, ...synced, 'Upstash-Encoding': 'base64' },
      body: JSON.stringify(command),
    }
    try {
      const response = await fetch(baseUrl, request)
      return this.#read(response, await response.text())
    } catch (error) {
      throw signal.aborted ? new StoreTimeoutError(this.#timeout, true) : error
    }
  }

  #read({ status, headers }: Response, text: string): unknown {
    const token = headers.get('upstash-sync-token')
    if (this.#http.readYourWrites === true && token !== null) this.#http.upstashSyncToken = token
    const body = parsed(text)
    if (typeof body === 'object' && body !== null) {
      if ('error' in body && body.error !== undefined) throw new ServerError(String(body.error))
      if ('result' in body) return bytesIn(body.result)
    }
    throw new Error(`the server answered with status ${status} and what is no reply: ${text.slice(0, 200)}`)
  }
}

function kept({ agent, backend, cache }: Readonly<Record<string, unknown>> = {}): object {
  return {
    ...(agent === undefined ? {} : { agent }),
    ...(backend === undefined ? {} : { backend }),
    ...(cache === undefined ? {} : { cache }),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `undefined`: no text in UTF-8. */
function textOf(argument: Argument): string | undefined {
  if (typeof argument === 'string') return argument
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(argument)
  } catch {
    return undefined
  }
}

function isComplete(texts: readonly (string | undefined)[]): texts is string[] {
  return !texts.includes(undefined)
}

/** Before a script: puts the bytes back into KEYS and ARGV, the last of which names their places. */
const UNPACK = `for list, place in string.gmatch(table.remove(ARGV), '(%a)(%d+)') do
  local values = list == 'K' and KEYS or ARGV
  values[tonumber(place)] = values[tonumber(place)]:gsub('..', function(digits) return string.char(tonumber(digits, 16)) end)
end
`

/** The arguments of an EVAL whose script unpacks those that are bytes. */
function unpacking(args: readonly Argument[], texts: readonly (string | undefined)[]): string[] {
  const [source, count, ...values] = texts.map((text, index) => text ?? hexOf(args[index]))
  const keys = Number(count)
  const places = texts.slice(2).flatMap((text, index) => {
    if (text !== undefined) return []
    return index < keys ? `K${index + 1}` : `A${index + 1 - keys}`
  })
  return [`${UNPACK}${source}`, String(count), ...values, places.join(' ')]
}

function hexOf(bytes: Argument | undefined): string {
  return typeof bytes === 'object' ? Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') : ''
}

/** A reply with its texts as bytes. `OK` is the only text that comes as it is. */
function bytesIn(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(bytesIn)
  return typeof result === 'string' ? bytesOf(result) : result
}

function bytesOf(text: string): Uint8Array {
  if (globalThis.Buffer !== undefined) return Buffer.from(text, text === 'OK' ? 'latin1' : 'base64')
  return Uint8Array.from(text === 'OK' ? text : atob(text), (character) => character.charCodeAt(0))
}
