import { createHash, type KeyObject } from 'node:crypto'

/** What is signed. Source: in-toto attestation framework, Statement v1. */
export interface Statement {
  readonly _type: string
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[]
  readonly predicateType: string
  readonly predicate: object
}

export const STATEMENT = {
  type: 'https://in-toto.io/Statement/v1',
  payloadType: 'application/vnd.in-toto+json',
  /** Names what it means, and leads nowhere. */
  predicateType: 'https://flexi.invalid/artifact/v1',
} as const

/** What a DSSE signature covers. Source: DSSE protocol, PAE. */
export function preAuthEncoding(payloadType: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `
  return Buffer.concat([Buffer.from(head), payload])
}

/** How bundles name a key, as cosign does: SHA-256 of its SPKI form, base64. */
export function keyHint(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64')
}

/** The SHA-256 digests that a signed payload stands for; none when it is no statement. */
export function digestsOf(payload: Buffer): readonly string[] {
  const statement = parse(payload)
  if (!isRecord(statement) || statement['_type'] !== STATEMENT.type) return []
  const subjects: unknown = statement['subject']
  if (!Array.isArray(subjects)) return []
  return subjects.flatMap((subject: unknown) => {
    const digest = isRecord(subject) && isRecord(subject['digest']) ? subject['digest']['sha256'] : undefined
    return typeof digest === 'string' ? [digest] : []
  })
}

function parse(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
