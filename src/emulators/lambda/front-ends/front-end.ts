import type { RequestContext } from '../../../core/fetcher.ts'

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
}

export interface HttpAnswer {
  readonly status: number
  /** name, value, name, value … without Content-Length. */
  readonly fields: readonly string[]
  readonly body: Buffer | string
}

/** Why a front end answers by itself. */
export type Refusal = 'function-error' | 'malformed-result' | 'throttled'

/** What stands between HTTP and a function: pure functions, one pair a kind of endpoint. */
export interface FrontEnd {
  /** What the handler's stream is passed on as it comes; otherwise it is one payload. */
  readonly streams: boolean
  readonly requestBytesMax: number
  /** The event's JSON. */
  event(request: FrontEndRequest): string
  /** Undefined for a result that makes no response. */
  answer(payload: Buffer, request: FrontEndRequest): HttpAnswer | undefined
  refuse(refusal: Refusal): HttpAnswer
}

/** Data of a route that a reader of templates left for its front end. */
export interface RouteOptions {
  readonly frontEnd: 'function-url' | 'http-api' | 'rest-api'
  /** `GET /users/{id}`, `$default`. */
  readonly routeKey?: string | undefined
  /** `/users/{id}` */
  readonly resource?: string | undefined
  readonly stage?: string | undefined
  readonly payloadFormat?: '1.0' | '2.0' | undefined
  readonly stageVariables?: Readonly<Record<string, string>> | undefined
  /** Media types whose bodies are bytes, for REST APIs: `image/png`, and slash-separated wildcards. */
  readonly binaryMediaTypes?: readonly string[] | undefined
}

export function routeOptions(context: RequestContext): RouteOptions | undefined {
  const options = context.route?.options
  return typeof options === 'object' && options !== null && 'frontEnd' in options
    ? (options as RouteOptions)
    : undefined
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

const lowerCase = new Map<string, string>()
const NAMES_MAX = 500

/** A lower-case name; the same few come with every request. Empty for a field that is not passed on. */
function fieldName(name: string): string {
  const known = lowerCase.get(name)
  if (known !== undefined) return known
  const lower = name.toLowerCase()
  const passed = HOP_BY_HOP.has(lower) ? '' : lower
  if (lowerCase.size < NAMES_MAX) lowerCase.set(name, passed)
  return passed
}

export type Fields = Record<string, string>

/** Fields as format 2.0 has them: lower-case names, duplicates joined, and what the endpoint adds. */
export function joinedFields(request: FrontEndRequest): Fields {
  const { raw, clientAddress, protocol } = request.context
  const { fields } = raw
  const joined: Fields = Object.create(null)
  for (let index = 0; index < fields.length; index += 2) {
    const name = fieldName(fields[index] ?? '')
    if (name === '') continue
    const value = fields[index + 1] ?? ''
    const before = joined[name]
    joined[name] = before === undefined ? value : before + (name === 'cookie' ? '; ' : ',') + value
  }
  const forwarded = joined['x-forwarded-for']
  joined['x-forwarded-for'] = forwarded === undefined ? clientAddress : `${forwarded}, ${clientAddress}`
  joined['x-forwarded-port'] = portOf(joined['host']) ?? DEFAULT_PORTS[protocol]
  joined['x-forwarded-proto'] = protocol
  joined['x-amzn-trace-id'] = request.trace
  return joined
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
