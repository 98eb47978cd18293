import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'

import { configError, errorMessage } from '../core/errors.ts'
import { pairFaults, type PemFault, type PemFile } from '../core/pem.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import type { CertificateFiles } from '../core/project.ts'
import { namesOfCertificate } from './names.ts'

/** A certificate ready to be shown. */
export interface Served {
  readonly cert: string
  readonly key: string
  readonly context: SecureContext
  /** DNS names and addresses it stands for, in lower case. */
  readonly names: readonly string[]
}

export interface OwnCertificates {
  readonly served: readonly Served[]
  /** About certificates that end soon. */
  readonly warnings: readonly string[]
}

/**
 * Reads the user's own certificates and checks what can be checked before a browser does.
 * @throws FlexiError FLEXI_CONFIG with the faults of all files at once.
 */
export async function readCertificates(files: readonly CertificateFiles[]): Promise<OwnCertificates> {
  const all = await Promise.all(files.map(readOne))
  const faults = all.flatMap((one) => one.faults)
  if (faults.length > 0) throw configError(faults)
  return {
    served: all.flatMap(({ served }) => (served === undefined ? [] : [served])),
    warnings: all.flatMap(({ warnings }) => warnings),
  }
}

interface ReadPair {
  readonly served?: Served
  readonly faults: readonly Fault[]
  readonly warnings: readonly string[]
}

async function readOne(files: CertificateFiles): Promise<ReadPair> {
  const unread: Fault[] = []
  const [cert, key] = await Promise.all([readText(files.cert, unread), readText(files.key, unread)])
  const found = await pairFaults({
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  })
  const wrong = found.filter(({ severity }) => severity !== 'warning')
  const faults = [...unread, ...wrong.map((fault) => faultOf(fault, files))]
  if (cert === undefined || key === undefined || faults.length > 0) return { faults, warnings: [] }
  const warnings = found.map(({ message, hint }) => `${files.cert}: ${message}. ${hint}`)
  return { served: serve(cert.text, key.text), faults, warnings }
}

function faultOf({ part, message, hint }: PemFault, { cert, key }: CertificateFiles): Fault {
  return { place: { file: part === 'key' ? key : cert, line: 1, column: 1 }, message, hint }
}

async function readText(file: AbsolutePath, faults: Fault[]): Promise<PemFile | undefined> {
  try {
    return { name: file, text: await readFile(file, 'latin1') }
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const [message, hint] = missing
      ? ['there is no such file', 'Correct its name in server.https.certificates.']
      : [`the file cannot be read: ${errorMessage(error)}`, 'Make it readable for this user.']
    faults.push({ place: { file, line: 1, column: 1 }, message, hint })
    return undefined
  }
}

function serve(cert: string, key: string): Served {
  const names = namesOfCertificate(new X509Certificate(cert))
  return { cert, key, names, context: createSecureContext({ cert, key }) }
}
