import { isUtf8 } from 'node:buffer'

import {
  decode,
  isFraming,
  isRecord,
  isTextual,
  joinedFields,
  parseResult,
  queryValues,
  quoted,
  requestTime,
  splitTarget,
  statusCode,
  type FrontEndRequest,
  type HttpAnswer,
} from './front-end.ts'
import type { Authorized } from './passage.ts'

/** What differs between the two endpoints that speak payload format 2.0. */
export interface Format2 {
  readonly routeKey: string
  readonly stage: string
  readonly accountId: string
  readonly apiId: string
  readonly parameters: Readonly<Record<string, string>>
  readonly stageVariables: Readonly<Record<string, string>> | undefined
}

/**
 * An event of payload format 2.0 as JSON. Keys without content are absent, and path and query stay as sent.
 * It is written as text: an object would be built only to be written.
 */
export function format2Event(request: FrontEndRequest, format: Format2): string {
  const { context } = request
  const { path, query } = splitTarget(context.raw.target)
  const fields = joinedFields(request)
  const routeKey = quoted(format.routeKey)
  const rawPath = quoted(format.stage === '$default' ? path : `/${format.stage}${path}`)
  const cookie = fields.get('cookie')
  const host = fields.get('host') ?? ''
  return (
    `{"version":"2.0","routeKey":${routeKey},"rawPath":${rawPath},"rawQueryString":${quoted(query)},` +
    (cookie === undefined ? '' : `"cookies":${JSON.stringify(cookieList(cookie))},`) +
    `"headers":${fields.json},` +
    (query === '' ? '' : queryParameters(query)) +
    `"requestContext":{"accountId":"${format.accountId}","apiId":${quoted(format.apiId)},` +
    authorizerPart(request.passage?.authorized) +
    `"domainName":${quoted(host)},` +
    `"domainPrefix":${quoted(format.apiId)},"http":{"method":"${context.raw.method}","path":${rawPath},"protocol":"HTTP/${request.httpVersion}",` +
    `"sourceIp":"${context.clientAddress}","userAgent":${quoted(fields.get('user-agent') ?? '')}},"requestId":"${context.id}",` +
    `"routeKey":${routeKey},"stage":${quoted(format.stage)},"time":"${requestTime(context.receivedAt)}","timeEpoch":${Math.floor(context.receivedAt)}},` +
    pathParameters(format) +
    bodyPart(request.body, fields.get('content-type'))
  )
}

function authorizerPart(authorized: Authorized | undefined): string {
  if (authorized === undefined) return ''
  const value =
    authorized.kind === 'jwt'
      ? { jwt: { claims: authorized.claims, scopes: authorized.scopes ?? null } }
      : { lambda: authorized.context }
  return `"authorizer":${JSON.stringify(value)},`
}

function cookieList(cookie: string): string[] {
  return cookie
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
}

function queryParameters(query: string): string {
  const values = queryValues(query)
  if (values.size === 0) return ''
  const pairs = [...values].map(([name, list]) => `${JSON.stringify(name)}:${JSON.stringify(list.join(','))}`)
  return `"queryStringParameters":{${pairs.join(',')}},`
}

function pathParameters({ parameters, stageVariables }: Format2): string {
  const pairs = Object.entries(parameters)
  const decoded = pairs.map(
    ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(decode(value, false))}`,
  )
  const variables = stageVariables === undefined ? '' : `"stageVariables":${JSON.stringify(stageVariables)},`
  return (decoded.length === 0 ? '' : `"pathParameters":{${decoded.join(',')}},`) + variables
}

function bodyPart(body: Buffer | undefined, contentType: string | undefined): string {
  if (body === undefined || body.length === 0) return '"isBase64Encoded":false}'
  // Text in another encoding than UTF-8 would not survive as text.
  if (isTextual(contentType) && isUtf8(body))
    return `"body":${JSON.stringify(body.toString())},"isBase64Encoded":false}`
  return `"body":"${body.toString('base64')}","isBase64Encoded":true}`
}

/** A result without `statusCode` is the body, sent as 200 JSON; a text is sent as it is. */
export function format2Answer(payload: Buffer): HttpAnswer | undefined {
  const parsed = parseResult(payload)
  if (parsed === undefined) return undefined
  const { text, value } = parsed
  if (!isRecord(value) || value['statusCode'] === undefined) {
    return {
      status: 200,
      fields: ['content-type', 'application/json'],
      body: typeof value === 'string' ? value : compact(text),
    }
  }
  const status = statusCode(value['statusCode'])
  const fields = format2Fields(value)
  const body = format2Body(value)
  return status === undefined || fields === undefined || body === undefined
    ? undefined
    : { status, fields, body }
}

/** JSON without spaces between its parts, as the cloud writes it; numbers stay as they were written. */
function compact(json: string): string {
  if (!/\s/.test(json)) return json
  const parts: string[] = []
  let start = 0
  for (let quote = json.indexOf('"'); quote !== -1; quote = json.indexOf('"', start)) {
    const end = textEnd(json, quote)
    parts.push(json.slice(start, quote).replaceAll(/\s+/g, ''), json.slice(quote, end))
    start = end
  }
  parts.push(json.slice(start).replaceAll(/\s+/g, ''))
  return parts.join('')
}

/** Behind the closing quote: what is read here has been parsed. */
function textEnd(json: string, start: number): number {
  let at = start + 1
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
  return at + 1
}

/** The fields of a structured result, or of a stream's prelude. Undefined when they are none. */
export function format2Fields(result: Readonly<Record<string, unknown>>): string[] | undefined {
  const { headers, cookies } = result
  const fields = headers === undefined || headers === null ? [] : headerFields(headers)
  if (fields === undefined) return undefined
  if (!fields.some(isContentType)) fields.push('content-type', 'application/json')
  if (Array.isArray(cookies)) for (const cookie of cookies) fields.push('set-cookie', String(cookie))
  return fields
}

function headerFields(headers: unknown): string[] | undefined {
  if (!isRecord(headers)) return undefined
  const fields: string[] = []
  for (const name in headers) {
    const value = headers[name]
    if (value === null || value === undefined || isFraming(name)) continue
    if (typeof value === 'object') return undefined
    fields.push(name, `${value as string | number | boolean}`)
  }
  return fields
}

/** Names stand at the even places; a value of that length is hardly ever one. */
function isContentType(text: string, index: number): boolean {
  return index % 2 === 0 && text.length === 12 && text.toLowerCase() === 'content-type'
}

function format2Body({
  body,
  isBase64Encoded,
}: Readonly<Record<string, unknown>>): Buffer | string | undefined {
  if (body === undefined || body === null) return ''
  if (typeof body !== 'string') return isBase64Encoded === true ? undefined : JSON.stringify(body)
  return isBase64Encoded === true ? Buffer.from(body, 'base64') : body
}
