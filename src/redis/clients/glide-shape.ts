/** The members of a client of Valkey GLIDE that onrush uses. Structural, so that `@valkey/valkey-glide` need not be installed. */

/** `Decoder.Bytes`: texts of a reply as Buffers. */
export const BYTES = 0

/** A `GlideClient` of `@valkey/valkey-glide`. */
export interface GlideClient {
  customCommand(args: (string | Buffer)[], options?: { decoder?: typeof BYTES }): Promise<unknown>
  getStatistics(): object
  close(errorMessage?: string): void
  /** Only a client of a cluster has this. */
  readonly fcallWithRoute?: never
}

export function isGlide(client: object): client is GlideClient {
  return 'customCommand' in client && 'getStatistics' in client && !('fcallWithRoute' in client)
}

/** The field is not public, so its type says nothing of it. */
export function isGlideClosed(client: GlideClient): boolean {
  return Reflect.get(client, 'isClosed') === true
}
