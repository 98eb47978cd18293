import type { RequestContext } from '../../../core/fetcher.ts'
import type { Passage } from './passage.ts'
import { isRouteOptions, type RouteOptions } from './route-options.ts'

export type { RouteOptions } from './route-options.ts'

/** A request on its way into an event. */
export interface FrontEndRequest {
  readonly context: RequestContext
  /** `1.1` */
  readonly httpVersion: string
  /** Undefined when the request has none. */
  readonly body: Buffer | undefined
  /** X-Ray's header value. */
  readonly trace: string
  readonly functionName: string
  /** Where its function is, and so its API: `eu-west-1`. */
  readonly region: string
  /** What was learnt of the request before it came here. */
  readonly passage?: Passage | undefined
}

export interface HttpAnswer {
  readonly status: number
  /** name, value, name, value … without Content-Length. */
  readonly fields: readonly string[]
  readonly body: Buffer | string
}

/** Why a front end answers by itself. */
export type Refusal = 'function-error' | 'malformed-result' | 'throttled' | 'timed-out' | 'too-large'

/** What stands between HTTP and a function: pure functions, one pair a kind of endpoint. */
export interface FrontEnd {
  /** What the handler's stream is passed on as it comes; otherwise it is one payload. */
  readonly streams: boolean
  readonly requestBytesMax: number
  /** How long it waits for its function; Infinity is as long as the function may take. */
  readonly waitMs: number
  /** The event's JSON. */
  event(request: FrontEndRequest): string
  /** Undefined for a result that makes no response. */
  answer(payload: Buffer, request: FrontEndRequest): HttpAnswer | undefined
  /** A large text of a result's `body` may come beside the payload, which then has an empty one: nothing but its bytes counts. */
  readonly takesBodyApart?: boolean | undefined
  refuse(refusal: Refusal): HttpAnswer
  /** What it writes into every answer: name, value, name, value … */
  answerFields(request: Pick<FrontEndRequest, 'context' | 'trace'>): readonly string[]
}

export function routeOptions(context: RequestContext): RouteOptions | undefined {
  const options = context.route?.options
  return isRouteOptions(options) ? options : undefined
}

/** `/a%2Fb?x=1` → its two sides, as sent. */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf('?')
  return mark === -1
    ? { path: target, query: '' }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** What belongs to the connection and not to the request. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What the endpoint writes itself. */
const ADDED = new Set(['x-forwarded-for', 'x-forwarded-port', 'x-forwarded-proto', 'x-amzn-trace-id'])

/** A field's lower-case name, and the name as a JSON key. */
interface FieldName {
  readonly lower: string
  readonly key: string
}

const fieldNames = new Map<string, FieldName | undefined>()
const NAMES_MAX = 500

/** The same few names come with every request. Undefined for a field that is not passed on. */
function fieldName(name: string): FieldName | undefined {
  if (fieldNames.has(name)) return fieldNames.get(name)
  const lower = name.toLowerCase()
  const known =
    HOP_BY_HOP.has(lower) || ADDED.has(lower) ? undefined : { lower, key: `${JSON.stringify(lower)}:` }
  if (fieldNames.size < NAMES_MAX) fieldNames.set(name, known)
  return known
}

/** Fields as format 2.0 has them: lower-case names, duplicates joined, and what the endpoint adds. */
export interface JoinedFields {
  /** A JSON object. It is written as text, field by field: an object would be built only to be written. */
  readonly json: string
  get(name: string): string | undefined
}

export function joinedFields(request: FrontEndRequest): JoinedFields {
  const { raw, clientAddress, protocol } = request.context
  const { names, values } = joinDuplicates(raw.fields)
  const get = (name: string): string | undefined => values[indexOfName(names, name)]
  let json = '{'
  for (const [index, { key }] of names.entries()) json += `${key}${quoted(values[index] ?? '')},`
  const port = portOf(get('host')) ?? DEFAULT_PORTS[protocol]
  json +=
    `"x-forwarded-for":${quoted(forwardedFor(raw.fields, clientAddress))},"x-forwarded-port":"${port}",` +
    `"x-forwarded-proto":"${protocol}","x-amzn-trace-id":${quoted(request.trace)}}`
  return { json, get }
}

/** Every field with its values as load balancers have them: lower-case names, Connection kept, and what the endpoint adds. */
export function listedFields(request: FrontEndRequest): Map<string, string[]> {
  const { raw, clientAddress, protocol } = request.context
  const lists = new Map<string, string[]>()
  for (let index = 0; index < raw.fields.length; index += 2) {
    const lower = (raw.fields[index] ?? '').toLowerCase()
    if ((HOP_BY_HOP.has(lower) && lower !== 'connection') || ADDED.has(lower)) continue
    const values = lists.get(lower) ?? []
    lists.set(lower, values)
    values.push(raw.fields[index + 1] ?? '')
  }
  lists.set('x-amzn-trace-id', [request.trace])
  lists.set('x-forwarded-for', [forwardedFor(raw.fields, clientAddress)])
  lists.set('x-forwarded-port', [portOf(lists.get('host')?.[0]) ?? DEFAULT_PORTS[protocol]])
  lists.set('x-forwarded-proto', [protocol])
  return lists
}

/** Names and values at the same places of two lists. */
function joinDuplicates(fields: readonly string[]): {
  readonly names: FieldName[]
  readonly values: string[]
} {
  const names: FieldName[] = []
  const values: string[] = []
  for (let index = 0; index < fields.length; index += 2) {
    const name = fieldName(fields[index] ?? '')
    if (name === undefined) continue
    const value = fields[index + 1] ?? ''
    const before = indexOfName(names, name.lower)
    if (before === -1) {
      names.push(name)
      values.push(value)
    } else values[before] += (name.lower === 'cookie' ? '; ' : ',') + value
  }
  return { names, values }
}

function indexOfName(names: readonly FieldName[], wanted: string): number {
  for (let index = 0; index < names.length; index += 1) if (names[index]?.lower === wanted) return index
  return -1
}

/** The addresses the request says it came through, and the one it came from. */
export function forwardedFor(fields: readonly string[], clientAddress: string): string {
  const through: string[] = []
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    if (name.length === 15 && name.toLowerCase() === 'x-forwarded-for') through.push(fields[index + 1] ?? '')
  }
  return through.length === 0 ? clientAddress : `${through.join(',')}, ${clientAddress}`
}

/** JSON of a text; most need only their quotes. */
export function quoted(text: string): string {
  return /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(text) ? `"${text}"` : JSON.stringify(text)
}

export const DEFAULT_PORTS = { http: '80', https: '443' } as const

export function portOf(host: string | undefined): string | undefined {
  return /:(\d+)$/.exec(host ?? '')?.[1]
}

const textual = new Map<string, boolean>()

/** Does a body of this type travel as text? Forms do not: they are bytes to Lambda. */
export function isTextual(contentType: string | undefined): boolean {
  if (contentType === undefined) return false
  const known = textual.get(contentType)
  if (known !== undefined) return known
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const result = /^text\/|[/+](json|xml|javascript|ecmascript)$/.test(type)
  if (textual.size < NAMES_MAX) textual.set(contentType, result)
  return result
}

/** Percent-decoding that leaves what it cannot decode. `plus` turns + into a space. */
export function decode(text: string, plus: boolean): string {
  if (!text.includes('%') && !(plus && text.includes('+'))) return text
  const spaced = plus ? text.replaceAll('+', ' ') : text
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced.replace(/(?:%[\da-f]{2})+/gi, (run) =>
      Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
    )
  }
}

/** Every name with its values, decoded, in the order of their first appearance. */
export function queryValues(query: string): Map<string, string[]> {
  const values = new Map<string, string[]>()
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const mark = pair.indexOf('=')
    const name = decode(mark === -1 ? pair : pair.slice(0, mark), true)
    const value = mark === -1 ? '' : decode(pair.slice(mark + 1), true)
    const before = values.get(name)
    if (before === undefined) values.set(name, [value])
    else before.push(value)
  }
  return values
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const clock = { second: 0, text: '' }

/** `21/Nov/2026:08:30:05 +0000`; made once a second. */
export function requestTime(epochMs: number): string {
  const second = Math.floor(epochMs / 1000)
  if (second === clock.second) return clock.text
  const date = new Date(epochMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  clock.second = second
  clock.text = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`
  return clock.text
}

/** The result's JSON and what it says, or undefined when it is none. */
export function parseResult(payload: Buffer): { readonly text: string; readonly value: unknown } | undefined {
  try {
    const text = payload.toString()
    return { text, value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** 100…599 as a number or as digits; undefined for anything else. A final response is none below 200. */
export function statusCode(value: unknown): number | undefined {
  const status = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value
  return typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599
    ? status
    : undefined
}

/** Fields that frame the message are the server's to write. */
export function isFraming(name: string): boolean {
  return /^(connection|content-length|keep-alive|transfer-encoding|trailer|upgrade)$/i.test(name)
}
