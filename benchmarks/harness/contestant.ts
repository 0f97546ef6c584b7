/** A contestant: a library's limiter, set up as its docs say, behind one method. */

export interface Contestant extends AsyncDisposable {
  /**
   * Spends one unit of `key`. The measurement ignores the answer. A refusal may resolve or reject, as in the library; only a rejection with
   * an Error is a failure.
   */
  check(key: string): Promise<unknown>
  /** The synchronous form of `check`, which is measured instead if it exists. */
  checkSync?(key: string): unknown
  /** Spends `quantity` units, and resolves to whether they were admitted. `undefined`: the library has no quantities. */
  admits(key: string, quantity?: number): Promise<boolean | undefined>
  /** Spends one unit of `key`, without a promise where nothing has to be awaited. Default: `admits`, which asks Redis. */
  decide?(key: string): Decision | Promise<Decision>
  /** What leases have charged and not used, in units, since the contestant was opened. Default: there are no leases. */
  leased?(): { readonly charged: number; readonly lapsed: number }
}

export interface Decision {
  readonly admitted: boolean
  /** True: decided in this process, without Redis. */
  readonly here: boolean
}

export interface Setting {
  /** Ports of 127.0.0.1: one server, or the nodes of a cluster. */
  readonly ports: readonly number[]
  /** The database. Contestants have one each, because some write the same key names. */
  readonly database?: number | undefined
  /** Units allowed in each period. */
  readonly limit: number
  /** In milliseconds, a multiple of 1000, because some libraries accept only whole seconds. */
  readonly period: number
}

export type Open = (setting: Setting) => Promise<Contestant>
