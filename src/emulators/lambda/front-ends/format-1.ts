import { ACCOUNT_ID } from '../definition.ts'
import {
  DEFAULT_PORTS,
  isFraming,
  isRecord,
  parseResult,
  portOf,
  queryValues,
  requestTime,
  routeOptions,
  splitTarget,
  statusCode,
  type FrontEndRequest,
  type HttpAnswer,
  type RouteOptions,
} from './front-end.ts'

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

/** An event of payload format 1.0: every key is there, null when empty. `version` is what only HTTP APIs add. */
export function format1Event(
  request: FrontEndRequest,
  { version }: { readonly version: '1.0' | undefined },
): string {
  const { context } = request
  const options = routeOptions(context)
  const { path, query } = splitTarget(context.raw.target)
  const fields = fieldLists(request)
  const values = queryValues(query)
  const body = requestBody(request, options)
  return JSON.stringify({
    ...(version === undefined ? {} : { version }),
    resource: options?.resource ?? '/{proxy+}',
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
  })
}

type Lists = ReadonlyMap<string, readonly string[]>

function fieldLists({ context, trace }: FrontEndRequest): Lists {
  const { raw, clientAddress, protocol } = context
  const lists = new Map<string, string[]>()
  const add = (name: string, value: string): void => {
    lists.set(name, [...(lists.get(name) ?? []), value])
  }
  for (const [name, value] of fieldPairs(raw.fields)) {
    const lower = name.toLowerCase()
    if (!DROPPED.has(lower) && !ADDED.test(lower)) add(RESPELLED[lower] ?? name, value)
  }
  const forwarded = valueOf(raw.fields, 'x-forwarded-for')
  add('X-Amzn-Trace-Id', trace)
  add('X-Forwarded-For', forwarded === undefined ? clientAddress : `${forwarded}, ${clientAddress}`)
  add('X-Forwarded-Port', portOf(valueOf(raw.fields, 'host')) ?? DEFAULT_PORTS[protocol])
  add('X-Forwarded-Proto', protocol)
  return lists
}

/** What the endpoint writes itself. */
const ADDED = /^(x-forwarded-(for|port|proto)|x-amzn-trace-id)$/

function fieldPairs(fields: readonly string[]): (readonly [string, string])[] {
  return fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1] ?? ''] as const] : []))
}

function valueOf(fields: readonly string[], wanted: string): string | undefined {
  return fieldPairs(fields).find(([name]) => name.toLowerCase() === wanted)?.[1]
}

/** `text/plain; charset=utf-8` → `text/plain`; empty when there is none. */
function mediaType(value: string | undefined): string {
  return (value ?? '').split(/[;,]/, 1)[0]?.trim().toLowerCase() ?? ''
}

function lastOf(lists: Lists): Record<string, string> | null {
  if (lists.size === 0) return null
  return Object.fromEntries([...lists].map(([name, values]) => [name, values[values.length - 1] ?? '']))
}

function allOf(lists: Lists): Record<string, readonly string[]> | null {
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

function matchesType(wanted: string, type: string): boolean {
  if (wanted === '*/*') return true
  return wanted.endsWith('/*')
    ? type.startsWith(wanted.slice(0, -1).toLowerCase())
    : wanted.toLowerCase() === type
}

/** `requestContext.identity` of a request without credentials. */
export function restIdentity(sourceIp: string, userAgent: string | undefined): Record<string, string | null> {
  return {
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
  { context, httpVersion, functionName }: FrontEndRequest,
  { fields, path, options }: ContextParts,
): object {
  const stage = options?.stage ?? 'Prod'
  const host = valueOf(context.raw.fields, 'host') ?? ''
  return {
    accountId: ACCOUNT_ID,
    apiId: functionName,
    deploymentId: 'local',
    domainName: host,
    domainPrefix: functionName,
    extendedRequestId: `${context.id.slice(0, 11)}=`,
    httpMethod: context.raw.method,
    identity: restIdentity(context.clientAddress, fields.get('User-Agent')?.[0]),
    path: stage === '$default' ? path : `/${stage}${path}`,
    protocol: `HTTP/${httpVersion}`,
    requestId: context.id,
    requestTime: requestTime(context.receivedAt),
    requestTimeEpoch: Math.floor(context.receivedAt),
    resourceId: 'local',
    resourcePath: options?.resource ?? '/{proxy+}',
    stage,
  }
}

const RESULT_KEYS = new Set(['statusCode', 'headers', 'multiValueHeaders', 'body', 'isBase64Encoded'])

/** A result of payload format 1.0. It must be an object with no other key than the known ones. */
export function format1Answer(
  payload: Buffer,
  request: FrontEndRequest,
  { decodesBase64 }: { readonly decodesBase64: boolean },
): HttpAnswer | undefined {
  const value = parseResult(payload)?.value
  if (!isRecord(value) || !hasOnlyKnownKeys(value)) return undefined
  const status = statusCode(value['statusCode'] ?? 200)
  const fields = format1Fields(value)
  const body = bodyOf(value, decodesBase64 || wantsBinary(request))
  return status === undefined || fields === undefined || body === undefined
    ? undefined
    : { status, fields, body }
}

function bodyOf(value: Readonly<Record<string, unknown>>, decodes: boolean): Buffer | string | undefined {
  const body = value['body'] ?? ''
  if (typeof body !== 'string') return undefined
  return decodes && value['isBase64Encoded'] === true ? Buffer.from(body, 'base64') : body
}

function hasOnlyKnownKeys(value: object): boolean {
  return Object.keys(value).every((key) => RESULT_KEYS.has(key))
}

/** Multi-value fields come first and give a name its spelling. */
function format1Fields({
  headers,
  multiValueHeaders,
}: Readonly<Record<string, unknown>>): string[] | undefined {
  const lists = new Map<string, { readonly name: string; readonly values: string[] }>()
  const add = (name: string, values: readonly unknown[]): void => {
    const entry = lists.get(name.toLowerCase()) ?? { name, values: [] }
    lists.set(name.toLowerCase(), entry)
    entry.values.push(...values.filter((value) => value !== null && value !== undefined).map(String))
  }
  for (const [name, values] of entriesOf(multiValueHeaders)) {
    if (!Array.isArray(values)) return undefined
    add(name, values)
  }
  for (const [name, value] of entriesOf(headers)) add(name, [value])
  if (!lists.has('content-type')) add('content-type', ['application/json'])
  return [...lists.values()].filter(({ name }) => !isFraming(name)).flatMap(linesOf)
}

function entriesOf(value: unknown): [string, unknown][] {
  return isRecord(value) ? Object.entries(value) : []
}

/** Several cookies are several fields; any other name has one. */
function linesOf({ name, values }: { readonly name: string; readonly values: readonly string[] }): string[] {
  if (values.length === 0) return []
  return name.toLowerCase() === 'set-cookie'
    ? values.flatMap((value) => [name, value])
    : [name, values.join(', ')]
}

/** Base64 is decoded only for a client whose first accepted type is one of the API's binary types. */
function wantsBinary({ context }: FrontEndRequest): boolean {
  const types = routeOptions(context)?.binaryMediaTypes ?? []
  const accepted = mediaType(valueOf(context.raw.fields, 'accept'))
  if (accepted === '' || accepted.includes('*')) return types.includes('*/*')
  return types.some((wanted) => matchesType(wanted, accepted))
}
