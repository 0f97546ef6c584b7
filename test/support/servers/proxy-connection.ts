/** One connection through the proxy: what becomes of its requests and replies under the fault of the moment. */
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisRequest, RequestSplitter } from './requests.ts'

export type Fault =
  | { readonly kind: 'none' | 'black hole' | 'hold' | 'swallow' }
  | { readonly kind: 'shorten'; readonly bytes: number }
  | { readonly kind: 'latency'; readonly milliseconds: number }
  | { readonly kind: 'drop'; readonly command: string | undefined; readonly reset: boolean }

export interface Rules {
  /** The fault of the moment. */
  fault(): Fault
  /** Called with each request that came in whole. */
  onRequest(request: RedisRequest): void
  /** Called when the fault `drop` has struck. */
  onDrop(): void
}

export class ProxyConnection {
  readonly #client: Socket
  readonly #server: Socket
  readonly #rules: Rules
  readonly #requests = new RequestSplitter()
  /** Bytes were lost: no more may reach the client. */
  #broken = false
  #resetsOnReply = false
  /** Replies that wait for `release`, in order. */
  #held: (() => void)[] = []
  /** Settled when all that is late has been delivered. */
  #late: Promise<void> | undefined

  constructor(client: Socket, server: Socket, rules: Rules) {
    this.#client = client.setNoDelay()
    this.#server = server.setNoDelay()
    this.#rules = rules
    client.on('data', (chunk) => this.#onRequests(chunk))
    server.on('data', (chunk) => this.#onReplies(chunk))
    client.on('end', () => server.end())
    server.on('end', () => this.#toClient(() => client.end()))
    client.on('error', () => server.end())
    server.on('error', () => reset(client))
  }

  get isBroken(): boolean {
    return this.#broken
  }

  /** Delivers what was held. */
  release(): void {
    for (const act of this.#held.splice(0)) this.#inTurn(act, 0)
  }

  /** Resets the client's side; held replies are lost. The server still carries out the requests that it was sent. */
  reset(): void {
    this.#broken = true
    reset(this.#client)
    this.#server.end()
  }

  destroy(): void {
    this.#client.destroy()
    this.#server.destroy()
  }

  #onRequests(chunk: Buffer): void {
    const requests = this.#requests.push(chunk)
    for (const request of requests) this.#rules.onRequest(request)
    const fault = this.#rules.fault()
    if (fault.kind === 'drop' && requests.some(({ command }) => command === fault.command)) this.#drop(fault.reset)
    if (fault.kind === 'black hole') this.#broken = true
    else this.#server.write(chunk)
  }

  #onReplies(chunk: Buffer): void {
    const fault = this.#rules.fault()
    if (fault.kind === 'drop' && fault.command === undefined) this.#drop(fault.reset)
    if (fault.kind === 'black hole') this.#broken = true
    if (fault.kind === 'swallow') {
      this.#rules.onDrop()
      return
    }
    if (this.#resetsOnReply) this.reset()
    const short = fault.kind === 'shorten' ? shortened(chunk, fault.bytes) : undefined
    if (short !== undefined) this.#rules.onDrop()
    this.#toClient(() => this.#client.write(short ?? chunk))
  }

  #drop(reset: boolean): void {
    if (this.#broken) return
    this.#broken = true
    this.#resetsOnReply = reset
    this.#rules.onDrop()
  }

  #toClient(act: () => void): void {
    const fault = this.#rules.fault()
    if (this.#broken) return
    if (fault.kind === 'hold') this.#held.push(act)
    else this.#inTurn(act, fault.kind === 'latency' ? fault.milliseconds : 0)
  }

  /** Acts after `milliseconds`, and after all that is late already. */
  #inTurn(act: () => void, milliseconds: number): void {
    if (this.#late === undefined && milliseconds === 0) {
      act()
      return
    }
    const due = performance.now() + milliseconds
    const late = (this.#late ?? Promise.resolve()).then(async () => {
      await sleep(Math.max(0, due - performance.now()))
      act()
      if (this.#late === late) this.#late = undefined
    })
    this.#late = late
  }
}

/** A bulk text of so many bytes, ending eight bytes earlier; `undefined`: it is none. */
function shortened(reply: Buffer, bytes: number): Buffer | undefined {
  const header = `$${bytes}\r\n`
  if (!reply.toString('latin1').startsWith(header)) return undefined
  const kept = reply.subarray(header.length, header.length + bytes - 8)
  return Buffer.concat([Buffer.from(`$${kept.length}\r\n`), kept, Buffer.from('\r\n')])
}

/** A socket that is about to end cannot be reset: Node would keep its handle for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
