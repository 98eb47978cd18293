import { createPublicKey, type KeyObject } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import { keyHint } from './statement.ts'

export interface TrustedKey {
  /** `ci.pub SHA256:…`: for people and for the audit log. */
  readonly name: string
  readonly key: KeyObject
}

const TYPES = ['ed25519', 'ec']

/** Public keys in PEM; of a folder, those in files `*.pub` and `*.pem`. @throws FlexiError FLEXI_CONFIG for what is none. */
export async function readTrustedKeys(places: readonly string[]): Promise<readonly TrustedKey[]> {
  const files = await Promise.all(places.map(filesAt))
  return await Promise.all(files.flat().map(readTrustedKey))
}

async function filesAt(place: string): Promise<readonly string[]> {
  const found = await stat(place).catch((cause: unknown) => {
    throw wrong(place, 'cannot be read', cause)
  })
  if (!found.isDirectory()) return [place]
  const names = (await readdir(place)).filter((name) => /\.(pub|pem)$/.test(name)).toSorted()
  if (names.length === 0) throw wrong(place, 'has no files *.pub or *.pem in it')
  return names.map((name) => join(place, name))
}

async function readTrustedKey(file: string): Promise<TrustedKey> {
  const pem = await readFile(file, 'utf8')
  if (pem.includes('PRIVATE KEY'))
    throw wrong(file, 'is a private key: it belongs to who signs, and nowhere else')
  const key = publicKey(pem)
  if (key === undefined) throw wrong(file, 'is no public key in PEM form')
  if (!TYPES.includes(key.asymmetricKeyType ?? '')) throw wrong(file, `is of type ${key.asymmetricKeyType}`)
  return { name: `${basename(file)} SHA256:${keyHint(key)}`, key }
}

function publicKey(pem: string): KeyObject | undefined {
  try {
    return createPublicKey(pem)
  } catch {
    return undefined
  }
}

function wrong(place: string, what: string, cause?: unknown): FlexiError {
  return new FlexiError('FLEXI_CONFIG', `the trusted key ${place} ${what}`, {
    hint: 'Write the public key with "openssl pkey -in flexi.key -pubout -out flexi.pub".',
    cause,
  })
}
