/** Reads a file or standard input as text, unpacked where it is packed by gzip. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { UsageError } from '../exit-codes.ts'

/** The longest line, in UTF-16 units. A longer one is no line of a log, and is handed on in pieces. */
const LONGEST_LINE = 2 ** 20

/** How many bytes are read at once. */
const CHUNK = 2 ** 18

/** A log to read: a file, or standard input. */
export interface LogSource {
  /** As the user named it; `-` is standard input. */
  readonly name: string
  /** Its size in bytes. 0: unknown. */
  readonly size: number
}

/** @throws UsageError if a file cannot be read */
export async function sourceOf(name: string): Promise<LogSource> {
  if (name === '-') return { name, size: 0 }
  try {
    const { size } = await stat(name)
    return { name, size }
  } catch (error) {
    throw unreadable(name, error)
  }
}

/**
 * The bytes of a source, unpacked.
 * @param progress is called with the number of bytes read, packed or not
 */
export async function* bytesOf(
  { name }: LogSource,
  stdin: Readable,
  progress: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  try {
    yield* await unpacked(counted(name === '-' ? stdin : createReadStream(name, { highWaterMark: CHUNK }), progress))
  } catch (error) {
    throw unreadable(name, error)
  }
}

async function* counted(chunks: AsyncIterable<Buffer>, progress: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    progress(chunk.length)
    yield chunk
  }
}

const GZIP = Buffer.from([0x1f, 0x8b])

async function unpacked(packed: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  const { first, all } = await withFirst(packed)
  if (first === undefined || !first.subarray(0, GZIP.length).equals(GZIP)) return all
  // The error of a damaged file reaches the reader of the last stream.
  return pipeline(Readable.from(all), createGunzip({ chunkSize: CHUNK }), () => {})
}

/** @returns the first chunk, and all chunks with the first */
export async function withFirst(
  chunks: AsyncIterable<Buffer>,
): Promise<{ first: Buffer | undefined; all: AsyncIterable<Buffer> }> {
  const rest = chunks[Symbol.asyncIterator]()
  const { value, done } = await rest.next()
  if (done === true) return { first: undefined, all: Readable.from([]) }
  const first: Buffer = value
  async function* all(): AsyncGenerator<Buffer> {
    yield first
    yield* { [Symbol.asyncIterator]: () => rest }
  }
  return { first, all: all() }
}

/** The lines of a source, as many at once as a chunk holds. */
export async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<string[]> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE) {
      lines.push(rest)
      rest = ''
    }
    yield lines
  }
  rest += decoder.decode()
  if (rest !== '') yield [rest]
}

function unreadable(name: string, error: unknown): UsageError {
  if (error instanceof UsageError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new UsageError(`cannot read ${name === '-' ? 'standard input' : name}: ${reason}`)
}
