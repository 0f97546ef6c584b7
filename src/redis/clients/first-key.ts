/** The key by which a cluster routes a command of the store. `undefined`: any node will do. */
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
