// The library decorates its classes, and needs this before it.
import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'

import * as x509 from '@peculiar/x509'

import { addressBytes, LOCAL_BLOCKS, LOCAL_DOMAINS, maskByte } from './names.ts'

/** A certificate and its key. */
export interface PemPair {
  readonly cert: string
  /** PKCS #8. Never printed. */
  readonly key: string
}

/** What signs. */
export interface Issuer {
  readonly cert: string
  readonly key: string
}

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' }
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' }
const DAY_MS = 86_400_000
const AUTHORITY_DAYS = 3_650
/** Browsers take at most 397, and those for which an authority of one's own is no exception would take no more. */
const LEAF_DAYS = 365
/** Clocks of phones and virtual machines run behind. */
const BACKDATED_DAYS = 1

/** A key for an authority or a server. */
export async function newKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
  const bytes = await webcrypto.subtle.exportKey('pkcs8', privateKey)
  return pem('PRIVATE KEY', Buffer.from(bytes))
}

/**
 * A certificate that may sign others, for names and addresses of private networks alone: whoever steals its key cannot
 * pass for a server of the Internet (RFC 5280 section 4.2.1.10).
 */
export async function issueAuthority(key: string, owner: string): Promise<string> {
  const keys = await keyPair(key)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ O: ['flexi development authority'] }, { CN: [`flexi ${owner}`] }],
    ...validity(AUTHORITY_DAYS),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.Extension(NAME_CONSTRAINTS, true, nameConstraints()),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

/** A certificate for servers with these names and addresses, `names[0]` shown as the subject. */
export async function issueLeaf(names: readonly string[], issuer: Issuer): Promise<PemPair> {
  const key = await newKey()
  const [keys, issuerKeys] = await Promise.all([keyPair(key), keyPair(issuer.key)])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [
      { O: ['flexi development certificate'] },
      { CN: [(names[0] ?? '').slice(0, COMMON_NAME_LENGTH_MAX)] },
    ],
    issuer: new x509.X509Certificate(issuer.cert).subjectName,
    ...validity(LEAF_DAYS),
    signingAlgorithm: SIGNATURE,
    publicKey: keys.publicKey,
    signingKey: issuerKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuerKeys.publicKey),
    ],
  })
  return { cert: `${certificate.toString('pem')}\n`, key }
}

/** RFC 5280 appendix A: ub-common-name. */
const COMMON_NAME_LENGTH_MAX = 64

/** Positive, and 127 bits of chance: more than browsers ask for. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0)
  return bytes.toString('hex')
}

function validity(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now()
  return {
    notBefore: new Date(now - BACKDATED_DAYS * DAY_MS),
    notAfter: new Date(now + (days - BACKDATED_DAYS) * DAY_MS),
  }
}

async function keyPair(key: string): Promise<webcrypto.CryptoKeyPair> {
  const bytes = Buffer.from(key.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  const privateKey = await webcrypto.subtle.importKey('pkcs8', bytes, KEY_ALGORITHM, true, ['sign'])
  const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', privateKey)
  const publicJwk = { kty, crv, x, y } as webcrypto.JsonWebKey
  const publicKey = await webcrypto.subtle.importKey('jwk', publicJwk, KEY_ALGORITHM, true, ['verify'])
  return { privateKey, publicKey }
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** id-ce-nameConstraints, for which the library has no class. */
const NAME_CONSTRAINTS = '2.5.29.30'

/** NameConstraints ::= SEQUENCE { permittedSubtrees [0] SEQUENCE OF SEQUENCE { base GeneralName } } */
function nameConstraints(): Buffer {
  const domains = LOCAL_DOMAINS.map((name) => subtree(DNS_NAME, Buffer.from(name, 'latin1')))
  const blocks = LOCAL_BLOCKS.map(([address, length]) => {
    const bytes = addressBytes(address)
    return subtree(IP_ADDRESS, Buffer.from([...bytes, ...bytes.map((_, i) => maskByte(length, i))]))
  })
  return der(SEQUENCE, der(PERMITTED, Buffer.concat([...domains, ...blocks])))
}

function subtree(tag: number, value: Buffer): Buffer {
  return der(SEQUENCE, der(tag, value))
}

/** Lengths here stay below 64 KiB. */
function der(tag: number, value: Buffer): Buffer {
  const { length } = value
  const header =
    length < 128
      ? [tag, length]
      : length < 256
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(header), value])
}

const SEQUENCE = 0x30
const PERMITTED = 0xa0
const DNS_NAME = 0x82
const IP_ADDRESS = 0x87
