import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'

/** Bytes of a token: 43 characters of base64url. */
const TOKEN_BYTES = 32

/** What a sender may write for a token; nothing that we made is longer. */
const TOKEN_CHARACTERS_MAX = 512

/** Makes tokens and tells them by keyed hashes, so that who reads the store has none of them. */
export interface TokenMint {
  make(): string
  /** HMAC-SHA-256 under a key of this daemon, hexadecimal. */
  hash(token: string): string
}

/** `key` is the data directory's; what hashes are made with is derived from it (HKDF, RFC 5869). */
export function openMint(key: Buffer): TokenMint {
  const hashKey = Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'flexi tokens', 32))
  return {
    make: () => randomBytes(TOKEN_BYTES).toString('base64url'),
    hash: (token) => createHmac('sha256', hashKey).update(token).digest('hex'),
  }
}

/** Short and public: names a token in lists and in the audit log. */
export function makeTokenId(): string {
  return randomBytes(6).toString('hex')
}

/** Takes as long whatever they are. */
export function sameHash(one: string, other: string): boolean {
  const bytes = Buffer.from(one)
  const others = Buffer.from(other)
  return bytes.length === others.length && timingSafeEqual(bytes, others)
}

/**
 * The token of an Authorization field; undefined for one that is not `Bearer TOKEN` (RFC 6750 section 2.1; the scheme knows no case).
 * What is too long to be one is cut: it stays wrong.
 */
export function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined || !/^bearer /i.test(authorization)) return undefined
  const token = authorization.slice('bearer '.length).trim()
  return token === '' ? undefined : token.slice(0, TOKEN_CHARACTERS_MAX)
}
