/** The REST form of Upstash before the Redis whose URL is the argument, in a process of its own. Sends its address to the process that started it. */
import { createHash } from 'node:crypto'
import { UpstashServer } from '../../test/support/servers/upstash.ts'

/** A flag of scripts that only Upstash knows. */
const FLAG = /^#!lua flags=allow-key-locking\n/

/** The hashes of scripts without the flag, by their hashes with it. */
const hashes = new Map<string, string>()

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}

function withoutFlag([name = '', script = '', ...args]: readonly string[]): readonly string[] {
  if (name.toLowerCase() === 'evalsha') return [name, hashes.get(script) ?? script, ...args]
  if (name.toLowerCase() !== 'eval') return script === '' ? [name] : [name, script, ...args]
  const plain = script.replace(FLAG, '')
  hashes.set(sha1(script), sha1(plain))
  return [name, plain, ...args]
}

const server = await UpstashServer.start(process.argv[2] ?? '', withoutFlag)
process.send?.(server.url)
process.on('disconnect', () => process.exit())
