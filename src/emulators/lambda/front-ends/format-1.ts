import { isUtf8 } from 'node:buffer'

import { ACCOUNT_ID } from '../definition.ts'
import {
  DEFAULT_PORTS,
  forwardedFor,
  isTextual,
  portOf,
  queryValues,
  requestTime,
  routeOptions,
  splitTarget,
  type FrontEndRequest,
  type RouteOptions,
} from './front-end.ts'
import type { Authorized } from './passage.ts'
import type { ApiKey } from './route-options.ts'

/** Fields that a REST API keeps to itself. */
const DROPPED = new Set([
  'connection', 'content-length', 'content-md5', 'expect', 'max-forwards', 'proxy-authenticate', 'server', 'te',
  'transfer-encoding', 'trailer', 'upgrade', 'www-authenticate',
]) // prettier-ignore

/** The two names a REST API spells its own way; every other keeps its case. */
const RESPELLED: Readonly<Record<string, string>> = {
  authorization: 'Authorization',
  'user-agent': 'User-Agent',
}

interface Format1 {
  /** What only HTTP APIs add. */
  readonly version: '1.0' | undefined
}

/** An event of payload format 1.0 as JSON. */
export function format1Event(request: FrontEndRequest, format: Format1): string {
  return JSON.stringify(format1Object(request, format))
}

/** An event of payload format 1.0: every key is there, null when empty. */
export function format1Object(
  request: FrontEndRequest,
  { version }: Format1,
): Readonly<Record<string, unknown>> {
  const { context } = request
  const options = routeOptions(context)
  const { path, query } = splitTarget(context.raw.target)
  const fields = fieldLists(request)
  const values = queryValues(query)
  const body = version === undefined ? requestBody(request, options) : httpApiBody(request)
  return {
    ...(version === undefined ? {} : { version }),
    resource: resourceOf(options),
    path: path.replace(/^\/{2,}/, '/'),
    httpMethod: context.raw.method,
    headers: lastOf(fields),
    multiValueHeaders: allOf(fields),
    queryStringParameters: lastOf(values),
    multiValueQueryStringParameters: allOf(values),
    pathParameters: parametersOf(request),
    stageVariables: options?.stageVariables ?? null,
    requestContext: requestContext(request, { fields, path, options }),
    body: body.text,
    isBase64Encoded: body.base64,
  }
}

type Lists = ReadonlyMap<string, readonly string[]>

/** Every field with its values as sent, and what the endpoint adds. */
export function fieldLists({ context, trace }: Pick<FrontEndRequest, 'context' | 'trace'>): Lists {
  const { raw, clientAddress, protocol } = context
  const lists = new Map<string, string[]>()
  const add = (name: string, value: string): void => {
    lists.set(name, [...(lists.get(name) ?? []), value])
  }
  for (const [name, value] of fieldPairs(raw.fields)) {
    const lower = name.toLowerCase()
    if (!DROPPED.has(lower) && !ADDED.test(lower)) add(RESPELLED[lower] ?? name, value)
  }
  add('X-Amzn-Trace-Id', trace)
  add('X-Forwarded-For', forwardedFor(raw.fields, clientAddress))
  add('X-Forwarded-Port', portOf(valueOf(raw.fields, 'host')) ?? DEFAULT_PORTS[protocol])
  add('X-Forwarded-Proto', protocol)
  return lists
}

/** What the endpoint writes itself. */
const ADDED = /^(x-forwarded-(for|port|proto)|x-amzn-trace-id)$/

function fieldPairs(fields: readonly string[]): (readonly [string, string])[] {
  return fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1] ?? ''] as const] : []))
}

export function valueOf(fields: readonly string[], wanted: string): string | undefined {
  return fieldPairs(fields).find(([name]) => name.toLowerCase() === wanted)?.[1]
}

/** `text/plain; charset=utf-8` → `text/plain`; empty when there is none. */
export function mediaType(value: string | undefined): string {
  return (value ?? '').split(/[;,]/, 1)[0]?.trim().toLowerCase() ?? ''
}

export function lastOf(lists: Lists): Record<string, string> | null {
  if (lists.size === 0) return null
  return Object.fromEntries([...lists].map(([name, values]) => [name, values[values.length - 1] ?? '']))
}

export function allOf(lists: Lists): Record<string, readonly string[]> | null {
  return lists.size === 0 ? null : Object.fromEntries(lists)
}

/** Values stay as sent; a greedy one loses a trailing slash. */
function parametersOf({ context }: FrontEndRequest): Record<string, string> | null {
  const pairs = Object.entries(context.route?.parameters ?? {})
  return pairs.length === 0
    ? null
    : Object.fromEntries(pairs.map(([name, value]) => [name, value.replace(/\/$/, '')]))
}

function requestBody(
  request: FrontEndRequest,
  options: RouteOptions | undefined,
): { text: string | null; base64: boolean } {
  const { body, context } = request
  if (body === undefined || body.length === 0) return { text: null, base64: false }
  const type = mediaType(valueOf(context.raw.fields, 'content-type'))
  const binary = options?.binaryMediaTypes?.some((wanted) => matchesType(wanted, type)) === true
  return binary ? { text: body.toString('base64'), base64: true } : { text: body.toString(), base64: false }
}

/** HTTP APIs have no list of binary types: what is not called text is bytes. */
function httpApiBody({ body, context }: FrontEndRequest): { text: string | null; base64: boolean } {
  if (body === undefined || body.length === 0) return { text: null, base64: false }
  const isText = isTextual(valueOf(context.raw.fields, 'content-type')) && isUtf8(body)
  return isText ? { text: body.toString(), base64: false } : { text: body.toString('base64'), base64: true }
}

export function matchesType(wanted: string, type: string): boolean {
  if (wanted === '*/*') return true
  return wanted.endsWith('/*')
    ? type.startsWith(wanted.slice(0, -1).toLowerCase())
    : wanted.toLowerCase() === type
}

/** `requestContext.identity` of a request without AWS credentials. */
export function restIdentity(
  sourceIp: string,
  userAgent: string | undefined,
  apiKey?: ApiKey,
): Record<string, string | null> {
  return {
    ...(apiKey === undefined
      ? {}
      : { apiKey: apiKey.value, apiKeyId: apiKey.id ?? apiKey.value.slice(0, 10) }),
    accessKey: null,
    accountId: null,
    caller: null,
    cognitoAuthenticationProvider: null,
    cognitoAuthenticationType: null,
    cognitoIdentityId: null,
    cognitoIdentityPoolId: null,
    principalOrgId: null,
    sourceIp,
    user: null,
    userAgent: userAgent ?? null,
    userArn: null,
  }
}

interface ContextParts {
  readonly fields: Lists
  readonly path: string
  readonly options: RouteOptions | undefined
}

function requestContext(
  { context, httpVersion, functionName, passage }: FrontEndRequest,
  { fields, path, options }: ContextParts,
): object {
  const apiId = options?.apiId ?? functionName
  const stage = stageOf(options)
  const host = valueOf(context.raw.fields, 'host') ?? ''
  return {
    accountId: ACCOUNT_ID,
    apiId,
    authorizer: authorizerOf(passage?.authorized),
    deploymentId: 'local',
    domainName: host,
    domainPrefix: apiId,
    extendedRequestId: extendedRequestId(context.id),
    httpMethod: context.raw.method,
    identity: restIdentity(context.clientAddress, fields.get('User-Agent')?.[0], passage?.apiKey),
    // Absent where there is none: JSON has no undefined.
    operationName: options?.operationName,
    path: stage === '$default' ? path : `/${stage}${path}`,
    protocol: `HTTP/${httpVersion}`,
    requestId: context.id,
    requestTime: requestTime(context.receivedAt),
    requestTimeEpoch: Math.floor(context.receivedAt),
    resourceId: 'local',
    resourcePath: resourceOf(options),
    stage,
  }
}

function resourceOf(options: RouteOptions | undefined): string {
  return options?.resource ?? '/{proxy+}'
}

function stageOf(options: RouteOptions | undefined): string {
  return options?.stage ?? (options?.frontEnd === 'http-api' ? '$default' : 'Prod')
}

/** Values of a context are texts in format 1.0. */
function authorizerOf(authorized: Authorized | undefined): object | undefined {
  if (authorized === undefined) return undefined
  if (authorized.kind === 'jwt')
    return {
      claims: authorized.claims,
      ...(authorized.scopes === undefined ? {} : { scopes: authorized.scopes }),
    }
  const context = Object.entries(authorized.context).map(([name, value]) => [name, String(value)] as const)
  return {
    ...Object.fromEntries(context),
    principalId: authorized.principalId ?? '',
    integrationLatency: authorized.tookMs,
  }
}

/** API Gateway's second id of a request, the same in the event and in the answer. */
export function extendedRequestId(id: string): string {
  return `${id.slice(0, 11)}=`
}
