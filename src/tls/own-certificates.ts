import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'

import { configError, errorMessage } from '../core/errors.ts'
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

const DAY_MS = 86_400_000
const WARNED_BEFORE_MS = 14 * DAY_MS

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
  const faults: Fault[] = []
  const report: Report = (file, message, hint) => {
    faults.push({ place: { file, line: 1, column: 1 }, message, hint })
    return undefined
  }
  const pair = await readPair(files, report)
  const context = pair === undefined || faults.length > 0 ? undefined : makeContext(pair, files.cert, report)
  if (pair === undefined || context === undefined) return { faults, warnings: [] }
  const { cert, key, certificate } = pair
  const served = { cert, key, context, names: namesOfCertificate(certificate) }
  return { served, faults, warnings: endsSoon(certificate, files.cert) }
}

interface Pair {
  readonly cert: string
  readonly key: string
  readonly certificate: X509Certificate
}

async function readPair(files: CertificateFiles, report: Report): Promise<Pair | undefined> {
  const [cert, key] = await Promise.all([readText(files.cert, report), readText(files.key, report)])
  const certificate = cert === undefined ? undefined : readCertificate(cert, files.cert, report)
  const keyObject = key === undefined ? undefined : readKey(key, files.key, report)
  if (certificate === undefined) return undefined
  checkDates(certificate, files.cert, report)
  if (keyObject === undefined) return undefined
  checkPair(certificate, keyObject, { files, report })
  return cert === undefined || key === undefined ? undefined : { cert, key, certificate }
}

type Report = (file: AbsolutePath, message: string, hint: string) => undefined

async function readText(file: AbsolutePath, report: Report): Promise<string | undefined> {
  try {
    return await readFile(file, 'latin1')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (missing)
      return report(file, 'there is no such file', 'Correct its name in server.https.certificates.')
    return report(file, `the file cannot be read: ${errorMessage(error)}`, 'Make it readable for this user.')
  }
}

function readCertificate(text: string, file: AbsolutePath, report: Report): X509Certificate | undefined {
  if (!text.includes('-----BEGIN CERTIFICATE-----') && text.includes('PRIVATE KEY-----'))
    return report(file, 'this is a key, and a certificate is wanted', 'Swap "cert" and "key".')
  try {
    return new X509Certificate(text)
  } catch {
    return report(
      file,
      'the file holds no certificate in PEM form',
      'Write the certificate first and its chain after it; turn DER into PEM with "openssl x509 -inform der".',
    )
  }
}

const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/

function readKey(text: string, file: AbsolutePath, report: Report): KeyObject | undefined {
  if (ENCRYPTED.test(text)) {
    return report(
      file,
      'the key is encrypted, and there is nobody to type its passphrase',
      `Write a copy without one: openssl pkey -in ${file} -out plain.key`,
    )
  }
  if (!text.includes('PRIVATE KEY-----') && text.includes('-----BEGIN CERTIFICATE-----'))
    return report(file, 'this is a certificate, and its key is wanted', 'Swap "cert" and "key".')
  try {
    return createPrivateKey(text)
  } catch {
    return report(
      file,
      'the file holds no private key in PEM form',
      'Name the key that the certificate was made for.',
    )
  }
}

function checkDates(certificate: X509Certificate, file: AbsolutePath, report: Report): void {
  const { validFrom, validTo } = certificate
  if (Date.parse(validTo) <= Date.now()) report(file, `the certificate ended on ${validTo}`, 'Renew it.')
  if (Date.parse(validFrom) > Date.now())
    report(file, `the certificate begins on ${validFrom}`, 'Set the clock, or use one that is valid now.')
}

interface Checked {
  readonly files: CertificateFiles
  readonly report: Report
}

function checkPair(certificate: X509Certificate, key: KeyObject, { files, report }: Checked): void {
  if (certificate.checkPrivateKey(key)) return
  report(
    files.key,
    `the key does not belong to the certificate ${files.cert}`,
    certificate.ca
      ? "Put the server's own certificate first in that file, before those of its chain."
      : 'Name the key that this certificate was made for.',
  )
}

function makeContext({ cert, key }: Pair, file: AbsolutePath, report: Report): SecureContext | undefined {
  try {
    return createSecureContext({ cert, key })
  } catch (error) {
    return report(file, `OpenSSL refuses it: ${errorMessage(error)}`, 'Use a certificate of a stronger kind.')
  }
}

function endsSoon({ validTo }: X509Certificate, file: AbsolutePath): readonly string[] {
  const leftMs = Date.parse(validTo) - Date.now()
  if (leftMs > WARNED_BEFORE_MS) return []
  const days = Math.floor(leftMs / DAY_MS)
  const when = days === 0 ? 'today' : days === 1 ? 'tomorrow' : `in ${days} days`
  return [
    `${file}: the certificate ends ${when}, on ${validTo}. Renew it; the new file is served when it is saved.`,
  ]
}
