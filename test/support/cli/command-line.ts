/** Runs the command line in this process, with standard input given and all output kept. */
import { Readable, Writable } from 'node:stream'
import { run } from '../../../src/cli/program.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

export async function onrush(args: readonly string[], input: string | Buffer = ''): Promise<Ran> {
  const out = new Kept()
  const error = new Kept()
  const code = await run(args, {
    stdin: Readable.from([Buffer.from(input)]),
    stdout: out,
    stderr: error,
    environment: {},
    colors: false,
  })
  return { code, out: out.text, error: error.text }
}

class Kept extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}
