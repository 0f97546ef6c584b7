/** Runs the command line in this process, with standard input given and all output kept. */
import { Readable, Writable } from 'node:stream'
import { run } from '../../../src/cli/program.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

/** @param isTTY whether somebody can be asked, whose answers are the input */
export async function onrush(args: readonly string[], input: string | Buffer = '', isTTY = false): Promise<Ran> {
  const out = new Kept()
  const error = Object.assign(new Kept(), { isTTY })
  const code = await run(args, {
    stdin: Readable.from(piecesOf(Buffer.from(input))),
    stdout: out,
    stderr: error,
    environment: {},
    colors: false,
  })
  return { code, out: out.text, error: error.text }
}

/** A pipe hands on at most 64 KiB at once. */
function piecesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: Math.max(Math.ceil(bytes.length / 2 ** 16), 1) }, (_, index) =>
    bytes.subarray(index * 2 ** 16, (index + 1) * 2 ** 16),
  )
}

class Kept extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}
