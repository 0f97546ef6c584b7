/** Looks at the commands that ioredis makes, and makes the words of our own. */
import type { ScriptCall } from './client.ts'
import type { IoredisNode } from './ioredis-shape.ts'

/**
 * The prototype of the commands that a client makes. `undefined`: the client has to make each command itself, because its options change
 * commands or because others follow them by their promises.
 */
export function commandPrototype(client: IoredisNode): object | undefined {
  const { commandTimeout, enableAutoPipelining, keyPrefix = '', showFriendlyErrorStack } = client.options
  if (commandTimeout !== undefined || enableAutoPipelining === true || showFriendlyErrorStack === true) return undefined
  if (keyPrefix !== '' || isReplaced(client)) return undefined
  let made: object | undefined
  // The client itself but for sending, because no client names the class of its commands.
  const idle: IoredisNode = Object.create(client, {
    sendCommand: {
      value: (command: object) => {
        made = command
      },
    },
  })
  idle.callBuffer('ping')
  return made && Object.getPrototypeOf(made)
}

/**
 * True if another function stands in the place of ioredis's own `sendCommand`: a method of the client, of a class that extends ioredis's, or a
 * function that a tracer has given to ioredis's class, which unlike a method has a prototype.
 */
function isReplaced(client: IoredisNode): boolean {
  let owner: object | null = client
  while (owner !== null && !Object.hasOwn(owner, 'sendCommand')) owner = Object.getPrototypeOf(owner)
  // No class that extends ioredis's has this method of its own, because only ioredis calls the method.
  if (owner === null || !Object.hasOwn(owner, 'recoverFromFatalError')) return true
  const { sendCommand } = client
  return (
    sendCommand === undefined ||
    sendCommand !== Reflect.get(owner, 'sendCommand') ||
    Object.hasOwn(sendCommand, 'prototype')
  )
}

/** The arguments of EVALSHA. */
export function wordsOf({ script, keys, args }: ScriptCall): string[] {
  const start: string[] = [script.sha1, String(keys.length)]
  // `concat` instead of spread syntax, because spread iterates item by item.
  return start.concat(keys, args)
}
