/** The reply of a Redis server to INFO. */
import type { RedisConnection } from '../../redis/clients/client.ts'

export type Info = ReadonlyMap<string, string>

/** @returns `undefined` if the user may not ask */
export async function infoOf(server: Pick<RedisConnection, 'send'>, ...sections: string[]): Promise<Info | undefined> {
  try {
    const text = String(await server.send('INFO', sections))
    return new Map(
      text.split('\r\n').flatMap((line) => {
        const at = line.indexOf(':')
        return at > 0 ? [[line.slice(0, at), line.slice(at + 1)] as const] : []
      }),
    )
  } catch {
    return undefined
  }
}

export function numberIn(info: Info, name: string): number {
  return Number(info.get(name) ?? 0)
}

/** A value of a list such as `calls=5,usec=20`. */
export function statistic(info: Info, name: string, key: string): number {
  const found = new RegExp(`(?:^|,)${key}=([\\d.]+)`).exec(info.get(name) ?? '')
  return Number(found?.[1] ?? 0)
}
