import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

/** What is done with the data directory's key. Each use has a key of its own, derived from it. */
export interface Sealing {
  /** AES-256-GCM; `place` is bound to it, so that a sealed value is worth nothing in another row. */
  seal(text: string, place: string): string
  /** Undefined when it was sealed under another key, for another place, or was changed. */
  open(sealed: string, place: string): string | undefined
  /** HMAC-SHA-256, hexadecimal. */
  mark(text: string): string
}

const NONCE_BYTES = 12
const TAG_BYTES = 16
const FORMAT = 'a1.'

export function createSealing(key: Buffer): Sealing {
  const sealingKey = derive(key, 'flexi: secrets of functions')
  const markingKey = derive(key, 'flexi: audit log')
  return {
    seal(text, place) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce).setAAD(Buffer.from(place))
      const content = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return FORMAT + content.toString('base64url')
    },
    open(sealed, place) {
      const content = Buffer.from(sealed.slice(FORMAT.length), 'base64url')
      if (!sealed.startsWith(FORMAT) || content.length < NONCE_BYTES + TAG_BYTES) return undefined
      const decipher = createDecipheriv('aes-256-gcm', sealingKey, content.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(Buffer.from(place)).setAuthTag(content.subarray(-TAG_BYTES))
      try {
        const text = [decipher.update(content.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]
        return Buffer.concat(text).toString('utf8')
      } catch {
        // final() throws for a tag that does not fit, and for nothing else.
        return undefined
      }
    },
    mark: (text) => createHmac('sha256', markingKey).update(text).digest('hex'),
  }
}

function derive(key: Buffer, use: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), use, 32))
}
