import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import * as x509 from '@peculiar/x509'

import type { AbsolutePath } from '../../src/core/place.ts'
import type { CertificateFiles } from '../../src/core/project.ts'

const DAY_MS = 86_400_000
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export interface PemOptions {
  readonly names: readonly string[]
  /** From now; default -1 to 90. */
  readonly days?: readonly [from: number, to: number]
  readonly ca?: boolean
}

/** A certificate that signed itself, and its key: what a person may have bought or made elsewhere. */
export async function makePem({
  names,
  days = [-1, 90],
  ca = false,
}: PemOptions): Promise<{ cert: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${names[0]}`,
    notBefore: new Date(Date.now() + days[0] * DAY_MS),
    notAfter: new Date(Date.now() + days[1] * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
    ],
  })
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  const key = `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
  return { cert: `${cert.toString('pem')}\n`, key }
}

/** The same in two files. */
export async function makeFiles(
  folder: string,
  name: string,
  options: PemOptions,
): Promise<CertificateFiles & { pem: string }> {
  mkdirSync(folder, { recursive: true })
  const { cert, key } = await makePem(options)
  const files = {
    cert: join(folder, `${name}.pem`) as AbsolutePath,
    key: join(folder, `${name}.key`) as AbsolutePath,
  }
  writeFileSync(files.cert, cert)
  writeFileSync(files.key, key)
  return { ...files, pem: cert }
}
