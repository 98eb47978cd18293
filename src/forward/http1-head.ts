/** What a server said before its content (RFC 9112 section 4). */
export interface ResponseHead {
  readonly status: number
  readonly reason: string
  /** name, value, name, value … in their order and case. */
  readonly fields: readonly string[]
  /** The server keeps the connection open after this answer, if its content does not end with it. */
  readonly reusable: boolean
  /** How long the content is when the request and the status allow one: bytes, or how its end is told. */
  readonly length: number | 'chunked' | 'close'
}

/** A server's answer that no client should believe. */
export class InvalidAnswerError extends Error {
  override readonly name = 'InvalidAnswerError'
}

/** Longer than a browser's, because upstreams put tokens into their fields. */
export const HEAD_BYTES_MAX = 64 * 1024

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/
const NAME = /^[\w!#$%&'*+.^`|~-]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** Beyond 2^53 a number is no longer exact. */
const LENGTH = /^\d{1,15}$/

/**
 * Reads a head from its first letter to the end of its last line, without the empty line (`HTTP/1.1 200 OK\r\nA: b\r\n`).
 * As strict as llhttp: folded lines, bare line feeds and two ways to frame the content are refused, because another reader could
 * take them for something else.
 * @throws InvalidAnswerError
 */
export function readResponseHead(text: string): ResponseHead {
  const lineEnd = text.indexOf('\r\n')
  const line = STATUS_LINE.exec(text.slice(0, lineEnd))
  if (line === null) throw new InvalidAnswerError('the status line is none')
  const [, minor, status = '', reason = ''] = line
  const fields = readFields(text, lineEnd + 2)
  const { length, close } = framing(fields, minor === '1')
  return { status: Number(status), reason, fields, reusable: !close, length }
}

/**
 * Reads lines of `name: value`, each ended by CRLF, from `start` to the end of the text.
 * @throws InvalidAnswerError
 */
export function readFields(text: string, start: number): string[] {
  const fields: string[] = []
  for (let at = start; at < text.length;) {
    const colon = text.indexOf(':', at)
    const end = text.indexOf('\r\n', at)
    if (end === -1 || colon === -1 || colon > end) throw new InvalidAnswerError('a field line has no colon')
    const name = text.slice(at, colon)
    const value = trimmed(text, colon + 1, end)
    if (!NAME.test(name) || !VALUE.test(value)) throw new InvalidAnswerError('a field has invalid letters')
    fields.push(name, value)
    at = end + 2
  }
  return fields
}

/** Without the blanks around a value, which are none of it; other white space is refused. */
function trimmed(text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}

interface Framing {
  length: number | 'chunked' | 'close'
  /** The server says that it closes. */
  close: boolean
}

/** RFC 9112 section 6.3. A coding other than `chunked` could not be undone here, and would not reach the client's side. */
function framing(fields: readonly string[], isPersistent: boolean): Framing {
  const found: Framing = { length: 'close', close: !isPersistent }
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? ''
    // The names that matter here are of these lengths: 10, 14, 17.
    if (name.length !== 10 && name.length !== 14 && name.length !== 17) continue
    frameBy(found, name.toLowerCase(), fields[i + 1] ?? '')
  }
  return found
}

function frameBy(found: Framing, name: string, value: string): void {
  switch (name) {
    case 'connection':
      found.close = readConnection(value, found.close)
      return
    case 'content-length':
      if (found.length !== 'close' || !LENGTH.test(value))
        throw new InvalidAnswerError('the content has no clear length')
      found.length = Number(value)
      return
    case 'transfer-encoding':
      if (found.length !== 'close' || value.toLowerCase() !== 'chunked')
        throw new InvalidAnswerError('the content is transferred in a way that is not understood')
      found.length = 'chunked'
      return
    default:
  }
}

function readConnection(value: string, before: boolean): boolean {
  const options = value.toLowerCase()
  if (/(^|,)\s*close\s*(,|$)/.test(options)) return true
  return /(^|,)\s*keep-alive\s*(,|$)/.test(options) ? false : before
}
