import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'

/** True when content follows the head, perhaps of length 0. A request of HTTP/2 shows the fields that HTTP/1.1 would have sent. */
export function hasContent(incoming: IncomingMessage): boolean {
  const { headers } = incoming
  if (headers['transfer-encoding'] !== undefined) return true
  return headers['content-length'] !== undefined && headers['content-length'] !== '0'
}

/** Writes the head; HTTP/2 knows no reason phrase, and passes over it. */
export function writeHead(
  outgoing: ServerResponse,
  head: { readonly status: number; readonly reason: string; readonly fields: string[] },
): void {
  outgoing.writeHead(head.status, reasonPhrase(head.status, head.reason), head.fields)
}

/** The upstream's own phrase, unless Node would refuse to write it. */
function reasonPhrase(status: number, reason: string): string {
  return reason === STATUS_CODES[status] || /^[\t\x20-\x7e]*$/.test(reason)
    ? reason
    : (STATUS_CODES[status] ?? '')
}

/** Passes on 102 and 103; 100 is ours to send, HTTP/1.0 knows none, and HTTP/2 never knew 102. */
export function inform(outgoing: ServerResponse, status: number, raw: readonly (Buffer | string)[]): void {
  const { httpVersion } = outgoing.req
  if (status === 102 && httpVersion === '1.1') outgoing.writeProcessing()
  if (status !== 103 || httpVersion === '1.0') return
  const hints: Record<string, string | string[]> = {}
  for (const [name, value] of pairs(raw)) {
    const key = name.toLowerCase()
    const known = hints[key]
    hints[key] = known === undefined ? value : [...(typeof known === 'string' ? [known] : known), value]
  }
  try {
    outgoing.writeEarlyHints(hints)
  } catch {
    // Node refuses Link values it cannot parse; a hint may be lost, the response may not.
  }
}

export function addTrailers(outgoing: ServerResponse, trailers: readonly [string, string][]): void {
  outgoing.addTrailers(trailers)
}

/** The client must see that something is missing: its connection or stream ends without the end of the content. */
export function cut(outgoing: ServerResponse): void {
  const { socket } = outgoing
  if (outgoing.req.httpVersion !== '1.0' || socket === null) outgoing.destroy()
  else socket.resetAndDestroy()
}

/** name, value, name, value … as pairs. */
export function pairs(raw: readonly (Buffer | string)[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([latin1(raw[i] ?? ''), latin1(raw[i + 1] ?? '')])
  return list
}

/** Fields are bytes; Node reads and writes them as Latin-1. */
function latin1(part: Buffer | string): string {
  return typeof part === 'string' ? part : textOf(part)
}

/** Name, value, name, value … of an answer as text. */
export function texts(raw: readonly Buffer[]): string[] {
  const list: string[] = []
  for (const part of raw) list.push(textOf(part))
  return list
}

const RECENT_SLOTS = 256
/** Longer ones seldom come again. */
const RECENT_LENGTH_MAX = 48
/** What was read last, by length and both ends: an upstream's answers repeat their names and most of their values. */
const recent: string[] = Array.from({ length: RECENT_SLOTS }, () => '')

function textOf(part: Buffer): string {
  const { length } = part
  if (length === 0 || length > RECENT_LENGTH_MAX) return part.toString('latin1')
  const slot = (length * 31 + (part[0] ?? 0) * 7 + (part[length - 1] ?? 0)) % RECENT_SLOTS
  const known = recent[slot] ?? ''
  if (known.length === length && isSame(known, part)) return known
  const text = part.toString('latin1')
  recent[slot] = text
  return text
}

/** Cheaper than a call into the engine for so few bytes. */
function isSame(text: string, part: Buffer): boolean {
  for (let i = text.length - 1; i >= 0; i--) if (text.charCodeAt(i) !== part[i]) return false
  return true
}
