import { RESPONSE_BYTES_MAX } from '../limits.ts'

export interface Apart {
  /** The result's JSON with an empty `body`. */
  readonly head: string
  readonly body: Buffer
}

const BODY_CHARACTERS_MIN = 16 * 1024

/**
 * Takes a large text out of a result for HTTP: quoting it as JSON here, and reading that there, costs more than all the rest.
 * Undefined for a result that is small, is none of HTTP's, or might be too large as the JSON that Lambda would make of it.
 */
export function separateBody(result: unknown): Apart | undefined {
  if (typeof result !== 'object' || result === null || 'toJSON' in result) return undefined
  const { body, statusCode, isBase64Encoded }: Readonly<Record<string, unknown>> = { ...result }
  if (typeof body !== 'string' || body.length < BODY_CHARACTERS_MIN) return undefined
  if (statusCode === undefined || Boolean(isBase64Encoded)) return undefined
  const head = JSON.stringify({ ...result, body: '' })
  const bytes = Buffer.from(body)
  return isSmallAsJson(body, bytes.length, RESPONSE_BYTES_MAX - Buffer.byteLength(head))
    ? { head, body: bytes }
    : undefined
}

/** JSON makes six bytes of a control character, and at most two of any other. */
function isSmallAsJson(text: string, bytes: number, bytesMax: number): boolean {
  if (bytes * 6 <= bytesMax) return true
  // oxlint-disable-next-line no-control-regex
  return bytes * 2 <= bytesMax && !/[\u0000-\u0007\u000b\u000e-\u001f]/.test(text)
}
