import { createHash, createPrivateKey, randomUUID, X509Certificate } from 'node:crypto'
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'

import { errorMessage, FlexiError } from '../core/errors.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { PemPair } from './issue.ts'
import { canonicalAddress, namesOfCertificate } from './names.ts'

/** The user's own certificate authority: makes certificates for names of this machine and of private networks. */
export interface Authority {
  /** The certificate to trust. */
  readonly file: AbsolutePath
  /** SHA-256 of that certificate, as browsers show it. */
  readonly fingerprint: string
  /** True when it was made just now: nobody trusts it yet. */
  readonly isNew: boolean
  /** A certificate for these names, from the disk while it is good for another month. */
  issue(names: readonly string[]): Promise<PemPair>
}

const KEY_FILE = 'ca.key'
const CERT_FILE = 'ca.pem'
const LEAVES = 'leaves'
const DAY_MS = 86_400_000
const RENEWED_BEFORE_MS = 30 * DAY_MS

/**
 * Opens the authority in a directory, and makes it when there is none. Several processes may do so at once: the key that
 * is there first is everybody's. The library that makes certificates is loaded only when one must be made.
 * @throws FlexiError FLEXI_CONFIG when the directory cannot be used or its files are broken.
 */
export async function openAuthority(directory: AbsolutePath): Promise<Authority> {
  try {
    const files = await readAuthority(directory)
    const isNew = files === undefined
    const { key, cert } = files ?? (await makeAuthority(directory))
    const certificate = new X509Certificate(cert)
    const issuer = { key, cert, certificate, directory: join(directory, LEAVES) }
    return {
      file: join(directory, CERT_FILE) as AbsolutePath,
      fingerprint: certificate.fingerprint256,
      isNew,
      issue: (names) => leafFor(names, issuer),
    }
  } catch (error) {
    if (error instanceof FlexiError) throw error
    throw new FlexiError(
      'FLEXI_CONFIG',
      `the certificate authority in ${directory} cannot be used: ${errorMessage(error)}`,
      {
        hint: 'Make the directory writable, or name another one in FLEXI_CA_DIR.',
        cause: error,
      },
    )
  }
}

/** Undefined when there is none yet, or one that has expired. */
async function readAuthority(directory: string): Promise<PemPair | undefined> {
  const [key, cert] = await Promise.all(
    [KEY_FILE, CERT_FILE].map((name) => readIfThere(join(directory, name))),
  )
  if (key === undefined || cert === undefined) return undefined
  const certificate = parse(cert, join(directory, CERT_FILE))
  if (!certificate.ca || !certificate.checkPrivateKey(createPrivateKey(key))) throw broken(directory)
  return isGood(certificate) ? { key, cert } : undefined
}

function broken(directory: string): FlexiError {
  return new FlexiError(
    'FLEXI_CONFIG',
    `${CERT_FILE} and ${KEY_FILE} in ${directory} do not belong together`,
    {
      hint: `Delete ${directory}: a new authority is made at the next start, which browsers must be told to trust again.`,
    },
  )
}

async function makeAuthority(directory: string): Promise<PemPair> {
  const { issueAuthority, newKey } = await import('./issue.ts')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const key = await writeOnce(join(directory, KEY_FILE), await newKey())
  const cert = await issueAuthority(key, `${userName()} on ${hostname()}`.slice(0, OWNER_LENGTH_MAX))
  await replaceFile(join(directory, CERT_FILE), cert, 0o644)
  return { key, cert }
}

/** With `flexi ` before it, a common name's length (RFC 5280 appendix A). */
const OWNER_LENGTH_MAX = 58

/** A user in a container may have no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return 'user'
  }
}

interface Issuer extends PemPair {
  readonly certificate: X509Certificate
  /** Where certificates are kept. */
  readonly directory: string
}

async function leafFor(names: readonly string[], issuer: Issuer): Promise<PemPair> {
  const file = join(issuer.directory, leafFile(names))
  const kept = await readIfThere(file)
  const pair = kept === undefined ? undefined : splitPair(kept)
  if (pair !== undefined && isUsable(pair, names, issuer)) return pair
  const { issueLeaf } = await import('./issue.ts')
  const made = await issueLeaf(names, issuer)
  await mkdir(issuer.directory, { recursive: true, mode: 0o700 })
  await replaceFile(file, made.cert + made.key, 0o600)
  return made
}

/** `localhost-5d41402abc4b2a76.pem`: readable, and different for different names. */
function leafFile(names: readonly string[]): string {
  const hash = createHash('sha256').update(names.join('\n')).digest('hex').slice(0, 16)
  return `${(names[0] ?? '').replaceAll(/[^a-z0-9.-]/g, '_').slice(0, 64)}-${hash}.pem`
}

const KEY_BEGINS = '-----BEGIN PRIVATE KEY-----'

function splitPair(text: string): PemPair | undefined {
  const at = text.indexOf(KEY_BEGINS)
  return at === -1 ? undefined : { cert: text.slice(0, at), key: text.slice(at) }
}

/** Files may be cut short, old, or made by an authority that is gone. */
function isUsable(pair: PemPair, names: readonly string[], { certificate: issuer }: Issuer): boolean {
  try {
    const certificate = new X509Certificate(pair.cert)
    const own = new Set(namesOfCertificate(certificate))
    return (
      isGood(certificate) &&
      names.every((name) => own.has(canonicalAddress(name))) &&
      certificate.checkPrivateKey(createPrivateKey(pair.key)) &&
      certificate.verify(issuer.publicKey)
    )
  } catch {
    return false
  }
}

function isGood(certificate: X509Certificate): boolean {
  const now = Date.now()
  return Date.parse(certificate.validFrom) <= now && Date.parse(certificate.validTo) - now > RENEWED_BEFORE_MS
}

function parse(cert: string, file: string): X509Certificate {
  try {
    return new X509Certificate(cert)
  } catch (error) {
    throw new FlexiError('FLEXI_CONFIG', `${file} is no certificate: ${errorMessage(error)}`, {
      hint: 'Delete it: it is made again at the next start.',
      cause: error,
    })
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Returns what the file holds in the end: the text, or what another process wrote before. */
async function writeOnce(file: string, text: string): Promise<string> {
  const temporary = `${file}.${randomUUID()}`
  await writeFile(temporary, text, { mode: 0o600, flag: 'wx' })
  try {
    // Unlike a rename, a link never replaces.
    await link(temporary, file)
    return text
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
    return await readFile(file, 'utf8')
  } finally {
    await unlink(temporary)
  }
}

async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  await writeFile(temporary, text, { mode, flag: 'wx' })
  await rename(temporary, file)
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
