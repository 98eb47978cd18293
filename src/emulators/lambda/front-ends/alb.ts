import { isUtf8 } from 'node:buffer'

import { ACCOUNT_ID } from '../definition.ts'
import {
  isFraming,
  isRecord,
  listedFields,
  parseResult,
  routeOptions,
  splitTarget,
  statusCode,
  type FrontEnd,
  type FrontEndRequest,
  type HttpAnswer,
  type Refusal,
  type RouteOptions,
} from './front-end.ts'
import { htmlAnswer } from './refusals.ts'

const ONE_MIB = 1024 * 1024

/**
 * An Application Load Balancer whose target group is a function. Names and values come single, or as lists where the group says so.
 * Source: Elastic Load Balancing guide, Lambda functions as targets.
 */
export const alb: FrontEnd = {
  streams: false,
  requestBytesMax: ONE_MIB,
  waitMs: Infinity,
  event: albEvent,
  answer: albAnswer,
  refuse: (refusal) => REFUSALS[refusal],
  answerFields: () => [],
}

const badGateway = htmlAnswer(502, 'Bad Gateway')

const REFUSALS = {
  'function-error': badGateway,
  'malformed-result': badGateway,
  'timed-out': htmlAnswer(504, 'Gateway Time-out'),
  throttled: badGateway,
  'too-large': htmlAnswer(413, 'Request Entity Too Large'),
} as const satisfies Record<Refusal, HttpAnswer>

function albEvent(request: FrontEndRequest): string {
  const { context } = request
  const options = groupOptions(request)
  const { path, query } = splitTarget(context.raw.target)
  const fields = listedFields(request)
  const values = rawQueryValues(query)
  const isMulti = options?.multiValueHeaders === true
  return JSON.stringify({
    requestContext: { elb: { targetGroupArn: options?.targetGroupArn ?? groupArn(request) } },
    httpMethod: context.raw.method,
    path,
    ...(isMulti
      ? { multiValueQueryStringParameters: Object.fromEntries(values) }
      : { queryStringParameters: lastOf(values) }),
    ...(isMulti ? { multiValueHeaders: Object.fromEntries(fields) } : { headers: lastOf(fields) }),
    ...bodyOf(request.body, fields),
  })
}

/** Of the rule that its listener chose, or of the route. */
function groupOptions({ context, passage }: FrontEndRequest): RouteOptions | undefined {
  return passage?.route ?? routeOptions(context)
}

type Lists = ReadonlyMap<string, readonly string[]>

function groupArn({ functionName, region }: FrontEndRequest): string {
  const name = functionName.replaceAll('_', '-').slice(0, 32)
  return `arn:aws:elasticloadbalancing:${region}:${ACCOUNT_ID}:targetgroup/${name}/0123456789abcdef`
}

function lastOf(lists: Lists): Record<string, string> {
  return Object.fromEntries([...lists].map(([name, values]) => [name, values[values.length - 1] ?? '']))
}

/** Names and values as they were sent: a load balancer decodes nothing. */
function rawQueryValues(query: string): Lists {
  const values = new Map<string, string[]>()
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const mark = pair.indexOf('=')
    const name = mark === -1 ? pair : pair.slice(0, mark)
    const list = values.get(name) ?? []
    values.set(name, list)
    list.push(mark === -1 ? '' : pair.slice(mark + 1))
  }
  return values
}

function bodyOf(
  body: Buffer | undefined,
  fields: Lists,
): { readonly body: string; readonly isBase64Encoded: boolean } {
  if (body === undefined || body.length === 0) return { body: '', isBase64Encoded: false }
  const type = (fields.get('content-type')?.[0] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const isText =
    /^(text\/.*|application\/(json|javascript|xml))$/.test(type) && !fields.has('content-encoding')
  // Text in another encoding than UTF-8 would not survive as text.
  return isText && isUtf8(body)
    ? { body: body.toString(), isBase64Encoded: false }
    : { body: body.toString('base64'), isBase64Encoded: true }
}

/** The status must be a number, the body a text, and all of it at most 1 MiB. */
function albAnswer(payload: Buffer, request: FrontEndRequest): HttpAnswer | undefined {
  const value = payload.length > ONE_MIB ? undefined : parseResult(payload)?.value
  if (!isRecord(value)) return undefined
  const status = typeof value['statusCode'] === 'number' ? statusCode(value['statusCode']) : undefined
  const isMulti = groupOptions(request)?.multiValueHeaders === true
  const fields = isMulti ? multiFields(value['multiValueHeaders']) : singleFields(value['headers'])
  const body = answerBody(value)
  return status === undefined || fields === undefined || body === undefined
    ? undefined
    : { status, fields, body }
}

function answerBody({
  body = '',
  isBase64Encoded,
}: Readonly<Record<string, unknown>>): Buffer | string | undefined {
  if (typeof body !== 'string') return undefined
  return isBase64Encoded === true ? Buffer.from(body, 'base64') : body
}

function singleFields(headers: unknown): string[] | undefined {
  if (headers === undefined || headers === null) return []
  if (!isRecord(headers)) return undefined
  const fields: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (value === null || isFraming(name)) continue
    if (typeof value === 'object') return undefined
    fields.push(name, `${value as string | number | boolean}`)
  }
  return fields
}

function multiFields(headers: unknown): string[] | undefined {
  if (headers === undefined || headers === null) return []
  if (!isRecord(headers)) return undefined
  const fields: string[] = []
  for (const [name, values] of Object.entries(headers)) {
    if (!Array.isArray(values)) return undefined
    if (!isFraming(name)) for (const value of values) fields.push(name, String(value))
  }
  return fields
}
