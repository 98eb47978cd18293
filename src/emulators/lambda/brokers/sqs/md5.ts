import { createHash } from 'node:crypto'

import type { MessageAttribute } from '../../service/queue.ts'

/** Hexadecimal, of the text's UTF-8. */
export function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}

/**
 * What SDKs check: name, type and value of each attribute in order of names, each after its length, the value after a byte that says
 * whether it is text. Undefined without attributes. Source: SQS developer guide, message metadata.
 */
export function attributesMd5(attributes: Readonly<Record<string, MessageAttribute>>): string | undefined {
  const names = Object.keys(attributes).toSorted(byCodeUnits)
  if (names.length === 0) return undefined
  const hash = createHash('md5')
  const add = (bytes: Buffer): void => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hash.update(length).update(bytes)
  }
  for (const name of names) {
    const { type = '', text, binary } = attributes[name] ?? {}
    add(Buffer.from(name))
    add(Buffer.from(type))
    hash.update(binary === undefined ? TEXT : BINARY)
    add(binary === undefined ? Buffer.from(text ?? '') : Buffer.from(binary, 'base64'))
  }
  return hash.digest('hex')
}

function byCodeUnits(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

const TEXT = Buffer.from([1])
const BINARY = Buffer.from([2])
