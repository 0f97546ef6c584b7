/** Late duplicates: what a proxy has recorded, sent to the server again. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { FaultProxy } from '../servers/proxy.ts'
import type { RedisRequest } from '../servers/requests.ts'

/** The calls that decide, in the order they came. */
export function callsThrough(proxy: FaultProxy): RedisRequest[] {
  return proxy.recorded.filter(({ command }) => command === 'EVALSHA' || command === 'EVAL')
}

/** Those whose place has made its next call since. */
export function old(calls: readonly RedisRequest[]): RedisRequest[] {
  const records = calls.map(recordOf)
  const latest = new Map(records.map(({ name, number }) => [name, number]))
  return calls.filter((_, index) => {
    const { name = '', number } = records[index] ?? {}
    return latest.get(name) !== number
  })
}

/** The last key of a call, and the last argument but one: see `lua/scripts/resend.lua`. */
const RECORD = /(?<name>[^\n]*:call:[^\r]+)\r.*\n(?<number>\d+)\r\n\$\d+\r\n\d+\r\n$/s

function recordOf({ bytes }: RedisRequest): { name: string; number: string } {
  const { name = '', number = '' } =
    RECORD.exec(bytes.toString('latin1', Math.max(bytes.length - 300, 0)))?.groups ?? {}
  return { name, number }
}

/** How many of the calls went out more than once. */
export function repeated(calls: readonly RedisRequest[]): number {
  return calls.length - new Set(calls.map(({ bytes }) => bytes.toString('latin1'))).size
}

/** Sends requests on a connection of their own to a server at `port`; resolves with all replies as they came. */
export async function replay(port: number, requests: readonly RedisRequest[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.write(Buffer.concat([...requests.map(({ bytes }) => bytes), Buffer.from('PING\r\n')]))
    let replies = ''
    while (!replies.endsWith('+PONG\r\n')) {
      const [chunk] = await once(socket, 'data')
      replies += chunk.toString('latin1')
    }
    return replies.slice(0, -'+PONG\r\n'.length)
  } finally {
    socket.destroy()
  }
}
