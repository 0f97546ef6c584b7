/** Runs the command line in this process, with standard input given and all output kept. */
import { Readable, Writable } from 'node:stream'
import { run } from '../../../src/cli/program.ts'
import type { Terminal } from '../../../src/cli/terminal.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

/** A terminal that shows nothing. */
export const SILENT: Terminal = {
  stdin: Readable.from([]),
  stdout: new Writable({ write: (_chunk, _encoding, done) => done() }),
  stderr: new Writable({ write: (_chunk, _encoding, done) => done() }),
  environment: {},
  colors: false,
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
