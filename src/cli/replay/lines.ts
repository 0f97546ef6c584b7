/** Reads a file or standard input as lines of text, unpacked where it is packed by gzip. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { UsageError } from '../exit-codes.ts'

/** The longest line, in bytes. A longer one is no line of a log. */
const LONGEST_LINE = 2 ** 20

/** How many bytes are read at once. */
const CHUNK = 2 ** 18

/** How many bytes tell whether a file is text. */
const EXAMINED = 8000

/** How much of a line that is too long is kept, to be shown. */
const SHOWN = 200

/** A log to read: a file, or standard input. */
export interface LogSource {
  /** As the user named it; `-` is standard input. */
  readonly name: string
  /** Its size in bytes. 0: unknown. */
  readonly size: number
}

/** Lines that are read at once, without their line breaks. */
export interface Lines {
  /** The start of a line before `lines` that is too long for a log. `undefined`: there is none. */
  readonly tooLong: string | undefined
  readonly lines: readonly string[]
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
 * The text of a source in UTF-8, unpacked and without a byte order mark.
 * @param progress is called with the number of bytes read, packed or not
 * @returns the first bytes, which hold the first line that is not blank, and all bytes
 * @throws UsageError if the source cannot be read, or holds no text
 */
export async function textOf(
  { name }: LogSource,
  stdin: Readable,
  progress: (bytes: number) => void,
): Promise<{ start: Buffer; all: AsyncIterable<Buffer> }> {
  const packed = counted(name, name === '-' ? stdin : createReadStream(name, { highWaterMark: CHUNK }), progress)
  const { start, all } = await withStart(await unpacked(name, packed), hasLine)
  const problem = notText(start)
  if (problem !== undefined) throw new UsageError(`${name} is no log that can be read: ${problem}`)
  if (!start.subarray(0, MARK.length).equals(MARK)) return { start, all }
  return { start: start.subarray(MARK.length), all: withoutMark(all) }
}

/** The byte order mark of UTF-8. */
const MARK = Buffer.from([0xef, 0xbb, 0xbf])

function notText(start: Buffer): string | undefined {
  const mark = start.toString('hex', 0, 2)
  if (mark === 'fffe' || mark === 'feff') return 'it is UTF-16, which must be converted to UTF-8'
  return start.subarray(0, EXAMINED).includes(0) ? 'it is binary, and not text' : undefined
}

async function* withoutMark(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isFirst = true
  for await (const chunk of chunks) {
    yield isFirst ? chunk.subarray(MARK.length) : chunk
    isFirst = false
  }
}

function hasLine(start: Buffer): boolean {
  if (start.length > LONGEST_LINE) return true
  return /\S[^\n]*\n/.test(start.toString('latin1'))
}

async function* counted(
  name: string,
  chunks: AsyncIterable<Buffer>,
  progress: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of chunks) {
      progress(chunk.length)
      yield chunk
    }
  } catch (error) {
    throw unreadable(name, error)
  }
}

const GZIP = Buffer.from([0x1f, 0x8b])

async function unpacked(name: string, packed: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  const { start, all } = await withStart(packed, ({ length }) => length >= GZIP.length)
  if (!start.subarray(0, GZIP.length).equals(GZIP)) return all
  // The error of a damaged file reaches the reader of the last stream.
  return counted(
    name,
    pipeline(Readable.from(all), createGunzip({ chunkSize: CHUNK }), () => {}),
    () => {},
  )
}

/** @returns the first bytes as one chunk, once they are enough or all, and all bytes with them as the first chunk */
async function withStart(
  chunks: AsyncIterable<Buffer>,
  isEnough: (start: Buffer) => boolean,
): Promise<{ start: Buffer; all: AsyncIterable<Buffer> }> {
  const rest = chunks[Symbol.asyncIterator]()
  let start: Buffer = Buffer.alloc(0)
  while (!isEnough(start)) {
    const { value, done } = await rest.next()
    if (done === true) break
    start = start.length === 0 ? value : Buffer.concat([start, value])
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield start
    yield* { [Symbol.asyncIterator]: () => rest }
  }
  return { start, all: all() }
}

const LINE_BREAK = 0x0a

/** The lines of a text, as many at once as a chunk holds. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Lines> {
  /** What has come of the last line. */
  let open: Buffer[] = []
  let length = 0
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(LINE_BREAK)
    if (end < 0) {
      length += chunk.length
      // Of a line that is too long, only its start is kept.
      if (length <= LONGEST_LINE || open.length === 0) open.push(chunk)
      continue
    }
    const first = length === 0 ? -1 : chunk.indexOf(LINE_BREAK)
    if (length + first > LONGEST_LINE) {
      yield { tooLong: startOf(open), lines: first === end ? [] : linesIn(chunk.subarray(first + 1, end)) }
    } else {
      open.push(chunk.subarray(0, end))
      yield { tooLong: undefined, lines: linesIn(Buffer.concat(open)) }
    }
    length = chunk.length - end - 1
    open = length === 0 ? [] : [chunk.subarray(end + 1)]
  }
  if (length > LONGEST_LINE) yield { tooLong: startOf(open), lines: [] }
  else if (length > 0) yield { tooLong: undefined, lines: linesIn(Buffer.concat(open)) }
}

/** A chunk is cut between lines and decoded whole, because a decoder of streams makes strings of two bytes a character. */
function linesIn(bytes: Buffer): string[] {
  return bytes.toString('utf8').split('\n')
}

function startOf([first]: readonly Buffer[]): string {
  return (first ?? Buffer.alloc(0)).toString('utf8', 0, SHOWN)
}

function unreadable(name: string, error: unknown): UsageError {
  if (error instanceof UsageError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new UsageError(`cannot read ${name === '-' ? 'standard input' : name}: ${reason}`)
}
