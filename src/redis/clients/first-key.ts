/** By which key a cluster finds the node of a command that the store sends; `undefined`: any node will do. */
export function firstKey<Argument>(name: string, args: readonly Argument[]): Argument | undefined {
  switch (name) {
    case 'EVAL':
    case 'EVALSHA':
      return args[2]
    case 'MGET':
    case 'SET':
    case 'UNLINK':
      return args[0]
    default:
      return undefined
  }
}
