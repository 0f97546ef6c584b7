/** Exit codes of the command line, for scripts, and the error of a wrong command line. */

/** All went well. */
export const OK = 0
/** The key is limited. */
export const LIMITED = 1
/** The command line or an input cannot be read. Nothing was changed. */
export const USAGE = 2
/** The store cannot be reached, or refuses. */
export const STORE = 3

/** A command line or an input that cannot be read. The message is shown without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
