import 'reflect-metadata'
import { createPrivateKey, webcrypto } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import * as x509 from '@peculiar/x509'

import type { AbsolutePath } from '../../src/core/place.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export interface Certificate {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

export interface Authority extends Certificate, AsyncDisposable {
  /** A certificate for these names and addresses. */
  issue(...names: string[]): Promise<Certificate>
  /** One whose time is over. */
  issueExpired(name: string): Promise<Certificate>
  /** Writes a text to a file that is gone with the authority. */
  file(name: string, text: string): Promise<AbsolutePath>
}

/** An authority that lives as long as a test. */
export async function openAuthority(): Promise<Authority> {
  x509.cryptoProvider.set(webcrypto)
  const folder = await mkdtemp(join(tmpdir(), 'flexi-upstreams-'))
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=flexi test authority',
    keys: keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  })
  const issue = async (names: readonly string[], expired: boolean): Promise<Certificate> => {
    const leaf = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
    const day = 86_400_000
    const cert = await x509.X509CertificateGenerator.create({
      subject: `CN=${names[0]}`,
      issuer: own.subject,
      signingKey: keys.privateKey,
      publicKey: leaf.publicKey,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - 2 * day),
      notAfter: new Date(Date.now() + (expired ? -day : day)),
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({
            type: /^[\d.]+$/.test(value) ? ('ip' as const) : ('dns' as const),
            value,
          })),
        ),
      ],
    })
    return { cert: cert.toString('pem'), key: await pem(leaf.privateKey) }
  }
  return {
    cert: own.toString('pem'),
    key: await pem(keys.privateKey),
    issue: (...names) => issue(names, false),
    issueExpired: (name) => issue([name], true),
    async file(name, text) {
      await writeFile(join(folder, name), text)
      return join(folder, name) as AbsolutePath
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString()
}
