/** What is compared: a limiter of some library, set up as its docs say, behind one method. */

export interface Contestant extends AsyncDisposable {
  /**
   * Spends one unit of `key`. Nobody reads the answer while the clock runs. A refusal may resolve or reject, as the library
   * has it, but only what rejects with an Error has failed.
   */
  check(key: string): Promise<unknown>
  /** The same without a promise. Where it is there, it is what is measured. */
  checkSync?(key: string): unknown
  /** Spends `quantity` units; tells whether they were admitted. Undefined where the library knows no quantities. */
  admits(key: string, quantity?: number): Promise<boolean | undefined>
}

export interface Setting {
  /** Ports of 127.0.0.1: one server, or the nodes of a cluster. */
  readonly ports: readonly number[]
  /** Of the server; contestants that write the same names are given one each. */
  readonly database?: number | undefined
  /** Units allowed in each period. */
  readonly limit: number
  /** Milliseconds; whole seconds, since not all libraries take less. */
  readonly period: number
}

export type Open = (setting: Setting) => Promise<Contestant>
