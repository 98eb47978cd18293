import { matchesType, mediaType, valueOf } from './format-1.ts'
import {
  isFraming,
  isRecord,
  parseResult,
  routeOptions,
  statusCode,
  type FrontEndRequest,
  type HttpAnswer,
} from './front-end.ts'

const RESULT_KEYS = new Set(['statusCode', 'headers', 'multiValueHeaders', 'body', 'isBase64Encoded'])

/** A result of payload format 1.0. It must be an object with no other key than the known ones. */
export function format1Answer(
  payload: Buffer,
  request: FrontEndRequest,
  { decodesBase64 }: { readonly decodesBase64: boolean },
): HttpAnswer | undefined {
  const value = proxyResult(payload)
  if (value === undefined) return undefined
  const status = statusCode(value['statusCode'] ?? 200)
  const fields = format1Fields(value)
  const body = bodyOf(value, decodesBase64 || wantsBinary(request))
  return status === undefined || fields === undefined || body === undefined
    ? undefined
    : { status, fields, body }
}

/** What a function says to a proxy integration; undefined for what is malformed there. */
export function proxyResult(payload: Buffer): Readonly<Record<string, unknown>> | undefined {
  const value = parseResult(payload)?.value
  return isRecord(value) && hasOnlyKnownKeys(value) ? value : undefined
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
