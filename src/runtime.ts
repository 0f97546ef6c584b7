/**
 * The modules of Node that onrush uses, where the runtime has them: in Node, Bun, Deno, and in Workers with `nodejs_compat`. They are not
 * imported, because bundlers for browsers and for edge functions refuse `node:` imports even of code that is not used.
 */

/** The process, in a runtime that has one. Next's edge runtime has one that throws when it is used. */
export const nodeProcess: Partial<NodeJS.Process> | undefined =
  'EdgeRuntime' in globalThis ? undefined : globalThis.process

/** `undefined`: the runtime has no such module. */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] | undefined {
  return nodeProcess?.getBuiltinModule?.(name)
}

interface Builtins {
  readonly 'node:async_hooks': typeof import('node:async_hooks')
  readonly 'node:crypto': typeof import('node:crypto')
  readonly 'node:diagnostics_channel': typeof import('node:diagnostics_channel')
  readonly 'node:module': typeof import('node:module')
  readonly 'node:net': typeof import('node:net')
  readonly 'node:perf_hooks': typeof import('node:perf_hooks')
  readonly 'node:util': typeof import('node:util')
}

/** Keeps the async context of the moment when an instance is made. */
export interface AsyncContext {
  runInAsyncScope<Args extends unknown[], Result>(
    work: (...args: Args) => Result,
    receiver: undefined,
    ...args: Args
  ): Result
}

/** Where a runtime has no async contexts. */
class NoContext implements AsyncContext {
  runInAsyncScope<Args extends unknown[], Result>(
    work: (...args: Args) => Result,
    _receiver: undefined,
    ...args: Args
  ): Result {
    return work(...args)
  }
}

/** Node's own class where there is one, so that nothing comes between. */
export const AsyncResource: new (name: string) => AsyncContext = builtin('node:async_hooks')?.AsyncResource ?? NoContext

const encoder = new TextEncoder()

/** The length of a text in bytes of UTF-8. */
export const byteLength: (text: string) => number =
  globalThis.Buffer?.byteLength ?? ((text) => encoder.encode(text).byteLength)
