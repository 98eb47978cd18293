import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'

import { errorMessage } from './errors.ts'

/** What a PEM file holds, and how its reader calls it. */
export interface PemFile {
  readonly name: string
  readonly text: string
}

/** A certificate with its chain, and its key. */
export interface PemPair {
  readonly cert: PemFile
  readonly key: PemFile
}

/** One thing wrong with a PEM file. */
export interface PemFault {
  readonly part: 'cert' | 'key' | 'ca'
  readonly message: string
  readonly hint: string
  /** As with faults of files: `error` unless it says otherwise. */
  readonly severity?: 'warning'
  /** True when it is wrong at this moment alone. */
  readonly isTime?: true
}

const DAY_MS = 86_400_000
const WARNED_BEFORE_MS = 14 * DAY_MS

/** All that is wrong with a pair, as far as it can be known before a connection is made. A file that is not there is not looked at. */
export async function pairFaults({ cert, key }: Partial<PemPair>): Promise<readonly PemFault[]> {
  const faults: PemFault[] = []
  const certificate = cert === undefined ? undefined : readCertificate(cert, faults)
  const keyObject = key === undefined ? undefined : readKey(key, faults)
  if (certificate !== undefined) checkDates(certificate, faults)
  if (cert === undefined || key === undefined || certificate === undefined || keyObject === undefined)
    return faults
  if (!certificate.checkPrivateKey(keyObject)) faults.push(foreignKey(certificate, cert))
  else await checkContext({ cert, key }, faults)
  return faults
}

/** All that is wrong with a list of authorities: OpenSSL takes any text for an empty one, in silence. */
export function authorityFaults({ text }: PemFile): readonly PemFault[] {
  const blocks = text.match(CERTIFICATES) ?? []
  if (blocks.length === 0)
    return [{ part: 'ca', message: 'the file holds no certificate in PEM form', hint: HINT_CA }]
  return blocks.flatMap((block, index): PemFault[] => {
    if (parse(block) !== undefined) return []
    return [{ part: 'ca', message: `certificate ${index + 1} of the file cannot be read`, hint: HINT_CA }]
  })
}

const CERTIFICATES = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^]*?(?:-----END [A-Z0-9 ]+-----|$)/g
const HINT_CA =
  'Name a file of certificates that are trusted; turn DER into PEM with "openssl x509 -inform der".'

function parse(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text)
  } catch {
    return undefined
  }
}

function readCertificate({ text }: PemFile, faults: PemFault[]): X509Certificate | undefined {
  if (!text.includes('-----BEGIN CERTIFICATE-----') && text.includes('PRIVATE KEY-----')) {
    const message = 'this is a key, and a certificate is wanted'
    faults.push({ part: 'cert', message, hint: 'Swap "cert" and "key".' })
    return undefined
  }
  const certificate = parse(text)
  if (certificate === undefined)
    faults.push({
      part: 'cert',
      message: 'the file holds no certificate in PEM form',
      hint: 'Write the certificate first and its chain after it; turn DER into PEM with "openssl x509 -inform der".',
    })
  return certificate
}

const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/

function readKey({ name, text }: PemFile, faults: PemFault[]): KeyObject | undefined {
  const wrong = (message: string, hint: string): undefined => {
    faults.push({ part: 'key', message, hint })
    return undefined
  }
  if (ENCRYPTED.test(text))
    return wrong(
      'the key is encrypted, and there is nobody to type its passphrase',
      `Write a copy without one: openssl pkey -in ${name} -out plain.key`,
    )
  if (!text.includes('PRIVATE KEY-----') && text.includes('-----BEGIN CERTIFICATE-----'))
    return wrong('this is a certificate, and its key is wanted', 'Swap "cert" and "key".')
  try {
    return createPrivateKey(text)
  } catch {
    return wrong(
      'the file holds no private key in PEM form',
      'Name the key that the certificate was made for.',
    )
  }
}

function checkDates({ validFrom, validTo }: X509Certificate, faults: PemFault[]): void {
  const leftMs = Date.parse(validTo) - Date.now()
  if (Date.parse(validFrom) > Date.now()) {
    const hint = 'Set the clock, or use one that is valid now.'
    faults.push({ part: 'cert', message: `the certificate begins on ${validFrom}`, hint, isTime: true })
  }
  if (leftMs <= 0)
    faults.push({
      part: 'cert',
      message: `the certificate ended on ${validTo}`,
      hint: 'Renew it.',
      isTime: true,
    })
  else if (leftMs <= WARNED_BEFORE_MS)
    faults.push({
      part: 'cert',
      message: `the certificate ends ${daysFrom(leftMs)}, on ${validTo}`,
      hint: 'Renew it; the new file is used when it is saved.',
      severity: 'warning',
    })
}

function daysFrom(leftMs: number): string {
  const days = Math.floor(leftMs / DAY_MS)
  if (days > 1) return `in ${days} days`
  return days === 0 ? 'today' : 'tomorrow'
}

/** An authority that is followed by others is mostly a chain the wrong way round. */
function foreignKey({ ca }: X509Certificate, cert: PemFile): PemFault {
  const isChain = (cert.text.match(CERTIFICATES) ?? []).length > 1
  return {
    part: 'key',
    message: `the key does not belong to the certificate "${cert.name}"`,
    hint:
      ca && isChain
        ? "Put the server's own certificate first in that file, before those of its chain."
        : 'Name the key that this certificate was made for.',
  }
}

/** OpenSSL has an opinion on the strength of keys and signatures. */
async function checkContext({ cert, key }: PemPair, faults: PemFault[]): Promise<void> {
  const { createSecureContext } = await import('node:tls')
  try {
    createSecureContext({ cert: cert.text, key: key.text })
  } catch (error) {
    const message = `OpenSSL refuses it: ${errorMessage(error)}`
    faults.push({ part: 'cert', message, hint: 'Use a certificate of a stronger kind.' })
  }
}
