/**
 * Keeps requests in a temporary file, to read them several times: 20 bytes a request, and the keys in memory. So a log is parsed once, and
 * standard input can be read again. The file is deleted as soon as it is open, so that no interruption leaves it behind.
 */
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SimulatedRequest } from '../../simulate/index.ts'

const RECORD = 20

export class Spool implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #folder: string
  readonly #keys: string[] = []
  readonly #indexes = new Map<string, number>()

  private constructor(file: FileHandle, folder: string) {
    this.#file = file
    this.#folder = folder
  }

  static async open(): Promise<Spool> {
    const folder = await mkdtemp(join(tmpdir(), 'onrush-replay-'))
    const spool = new Spool(await open(join(folder, 'requests'), 'w+', 0o600), folder)
    await spool.#delete()
    return spool
  }

  /** The same requests, which are also written. */
  async *keep(source: AsyncIterable<readonly SimulatedRequest[]>): AsyncGenerator<readonly SimulatedRequest[]> {
    for await (const requests of source) {
      await this.#file.write(this.#encode(requests))
      yield requests
    }
  }

  /** The requests that were written. */
  async *read(): AsyncGenerator<SimulatedRequest[]> {
    let rest: Buffer = Buffer.alloc(0)
    for await (const chunk of this.#file.createReadStream({ start: 0, autoClose: false, highWaterMark: 2 ** 18 })) {
      const bytes = Buffer.concat([rest, chunk])
      const requests: SimulatedRequest[] = []
      let at = 0
      for (; at + RECORD <= bytes.length; at += RECORD) requests.push(this.#decode(bytes, at))
      rest = bytes.subarray(at)
      yield requests
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
    await this.#delete()
  }

  /** Where open files cannot be deleted, the file goes at the end. */
  #delete(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true }).catch(() => {})
  }

  #encode(requests: readonly SimulatedRequest[]): Buffer {
    const bytes = Buffer.allocUnsafe(requests.length * RECORD)
    let at = 0
    for (const { key, time, quantity = 1 } of requests) {
      bytes.writeDoubleLE(Number(time), at)
      bytes.writeDoubleLE(quantity, at + 8)
      bytes.writeUInt32LE(this.#indexOf(key), at + 16)
      at += RECORD
    }
    return bytes
  }

  #decode(bytes: Buffer, at: number): SimulatedRequest {
    return {
      time: bytes.readDoubleLE(at),
      quantity: bytes.readDoubleLE(at + 8),
      key: this.#keys[bytes.readUInt32LE(at + 16)] ?? '',
    }
  }

  #indexOf(key: string): number {
    let index = this.#indexes.get(key)
    if (index === undefined) {
      index = this.#keys.push(key) - 1
      this.#indexes.set(key, index)
    }
    return index
  }
}
