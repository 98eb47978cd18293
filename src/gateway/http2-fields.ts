import {
  validateHeaderName,
  validateHeaderValue,
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http'
import { JOINED_FIELDS, SINGLE_FIELDS } from '../forward/http2-single.ts'

/** What `writeHead` takes: an object, a flat list, or a list of pairs. */
export type HeadFields = OutgoingHttpHeaders | OutgoingHttpHeader[]
export type TrailerFields = OutgoingHttpHeaders | readonly [string, string][]

/**
 * The fields of an answer's head: those that were set, under those given now.
 * @throws TypeError, RangeError as `http.ServerResponse.writeHead` does, for what could not be sent.
 */
export function headFields(
  response: ServerResponse,
  status: number,
  given: HeadFields | undefined,
): OutgoingHttpHeaders {
  if (!Number.isInteger(status) || status < 100 || status > 999) throw badStatus(status)
  const own: OutgoingHttpHeaders = {}
  if (given !== undefined) addFields(own, given)
  const head: OutgoingHttpHeaders = { ':status': status }
  for (const name of response.getHeaderNames()) {
    if (own[name] === undefined) addField(head, name, response.getHeader(name))
  }
  Object.assign(head, own)
  // RFC 9110 section 8.6; a client would take the length of a 204 for a mistake.
  if (status === 204) delete head['content-length']
  return head
}

function addFields(fields: OutgoingHttpHeaders, given: HeadFields): void {
  if (!Array.isArray(given)) for (const name in given) addField(fields, name, given[name])
  else if (Array.isArray(given[0])) addPairs(fields, given as unknown as readonly [string, string][])
  else for (let i = 0; i + 1 < given.length; i += 2) addField(fields, String(given[i]), given[i + 1])
}

function addPairs(fields: OutgoingHttpHeaders, pairs: readonly (readonly [string, unknown])[]): void {
  for (const [name, value] of pairs) addField(fields, name, value)
}

export function addTrailerFields(fields: OutgoingHttpHeaders, trailers: TrailerFields): void {
  addPairs(fields, isPairs(trailers) ? trailers : Object.entries(trailers))
}

function isPairs(trailers: TrailerFields): trailers is readonly [string, string][] {
  return Array.isArray(trailers)
}

/** RFC 9113 section 8.2.2: what belongs to a connection of HTTP/1.1 is malformed here. */
const OF_CONNECTION = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'te',
])

function addField(fields: OutgoingHttpHeaders, name: string, value: unknown): void {
  const key = name.toLowerCase()
  if (OF_CONNECTION.has(key)) return
  validateHeaderName(key)
  if (!Array.isArray(value)) addValue(fields, key, value)
  else for (const one of value as readonly unknown[]) addValue(fields, key, one)
}

function addValue(fields: OutgoingHttpHeaders, key: string, value: unknown): void {
  // Text of any kind: the check says what is none.
  validateHeaderValue(key, value as string)
  const text = String(value)
  const known = fields[key]
  if (known === undefined) fields[key] = text
  else if (JOINED_FIELDS.has(key)) fields[key] = `${String(known)}, ${text}`
  else if (!SINGLE_FIELDS.has(key))
    fields[key] = Array.isArray(known) ? [...known, text] : [String(known), text]
}

function badStatus(status: number): Error {
  const code = 'ERR_HTTP_INVALID_STATUS_CODE'
  return Object.assign(new RangeError(`Invalid status code: ${status}`), { code })
}
