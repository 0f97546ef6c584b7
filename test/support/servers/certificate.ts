/** A certificate for 127.0.0.1 that is its own authority. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findOpenssl } from './find-server.ts'

const run = promisify(execFile)

export interface Certificate {
  readonly certificatePath: string
  readonly keyPath: string
  /** The certificate in PEM: what a client takes as `ca`. */
  readonly pem: string
}

/** Makes one in `directory`, good for a day. */
export async function makeCertificate(directory: string): Promise<Certificate> {
  const certificatePath = join(directory, 'certificate.pem')
  const keyPath = join(directory, 'key.pem')
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyPath]
  await run(await findOpenssl(), ['req', '-x509', '-days', '1', ...key, ...names, '-out', certificatePath])
  return { certificatePath, keyPath, pem: readFileSync(certificatePath, 'utf8') }
}
