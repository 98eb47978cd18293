import type { IncomingMessage } from 'node:http'

import type { RequestContext } from '../core/fetcher.ts'
import { addClientFields, type Asked } from './client-fields.ts'
import { NameSet } from './name-set.ts'
import { REQUEST_ID, REQUEST_ID_KEY, sentRequestId } from './request-id.ts'
import { fieldValue } from './request-line.ts'

export { VIA_NAME } from './client-fields.ts'

/** What decides over the fields of a forwarded request. */
export interface FieldRules {
  /** `keep` sends the client's Host; anything else replaces it. */
  readonly host: string
  /** Tells the upstream who asked: X-Forwarded-*, Forwarded, Via, X-Request-Id. What the client says about that is dropped. */
  readonly forwarded: boolean
  /** name, value, name, value …: added, and win over the client's fields of the same names. */
  readonly fields?: readonly string[] | undefined
  /** Lower-case names that never reach the upstream. */
  readonly dropped?: readonly string[] | undefined
  /** The same, for who always drops the same ones. */
  readonly never?: NameSet | undefined
}

/** RFC 9110 section 7.6.1, and what belongs to this connection by its own document. */
const HOP_NAMES = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'proxy-authenticate',
  'proxy-authorization',
  'http2-settings',
]
const REQUEST_HOP = new NameSet(...HOP_NAMES, 'trailer', 'expect')
const RESPONSE_HOP = new NameSet(...HOP_NAMES, 'trailer')
/** Written anew for every request. */
const REWRITTEN_NAMES = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'via']
const REWRITTEN = new NameSet(...REWRITTEN_NAMES)
const ABOUT_CLIENT = new NameSet(...REWRITTEN_NAMES, 'x-forwarded-port', 'x-forwarded-server', 'x-real-ip')
/** Naming these in Connection must not take away what frames and routes the message. */
const NEVER_NAMED = new Set(['close', 'keep-alive', 'host', 'content-length', REQUEST_ID_KEY])

/** The fields an upstream gets: the client's without those of its own connection, in their order and case. */
export function requestFields(
  rules: FieldRules,
  incoming: IncomingMessage,
  context: RequestContext,
): string[] {
  const raw = context.raw.fields
  const named = namedByConnection(incoming.headers.connection)
  const asked = { incoming, context }
  const fields: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (!isHop(REQUEST_HOP, name, named) && !isReplaced(rules, name, asked))
      fields.push(name, raw[i + 1] ?? '')
  }
  if (incoming.headers['te']?.includes('trailers') === true) fields.push('TE', 'trailers')
  addOwn(fields, rules, asked)
  return fields
}

function addOwn(fields: string[], rules: FieldRules, asked: Asked): void {
  if (rules.host !== 'keep') fields.push('Host', rules.host)
  if (rules.forwarded) {
    addClientFields(fields, asked)
    if (sentRequestId(asked.incoming.headers) === undefined) fields.push(REQUEST_ID, asked.context.id)
  }
  if (rules.fields !== undefined) fields.push(...rules.fields)
}

function isHop(set: NameSet, name: string, named: ReadonlySet<string> | undefined): boolean {
  return set.has(name) || (named !== undefined && named.has(name.toLowerCase()))
}

function isReplaced(rules: FieldRules, name: string, asked: Asked): boolean {
  if (rules.never?.has(name) === true) return true
  if (rules.forwarded && isAboutClient(name, asked)) return true
  if (rules.host !== 'keep' && name.length === 4 && name.toLowerCase() === 'host') return true
  return has(rules.dropped, name, 1) || has(rules.fields, name, 2)
}

/** What a proxy that is trusted says about its client stands. `X_Forwarded_For` reads like X-Forwarded-For to CGI-shaped upstreams. */
function isAboutClient(name: string, { incoming, context }: Asked): boolean {
  if (name.includes('_')) {
    const plain = name.replaceAll('_', '-')
    return ABOUT_CLIENT.has(plain) || plain.toLowerCase() === REQUEST_ID_KEY
  }
  if (name.length === REQUEST_ID_KEY.length && name.toLowerCase() === REQUEST_ID_KEY)
    return sentRequestId(incoming.headers) === undefined
  return (context.trustedPeer === undefined ? ABOUT_CLIENT : REWRITTEN).has(name)
}

/** `step` 2 looks at the names of a name, value list only. */
function has(names: readonly string[] | undefined, name: string, step: number): boolean {
  if (names === undefined) return false
  for (let i = 0; i < names.length; i += step) {
    const other = names[i] ?? ''
    if (other.length === name.length && other.toLowerCase() === name.toLowerCase()) return true
  }
  return false
}

/** `Connection: close, X-Secret` → {x-secret}. */
function namedByConnection(value: string | undefined): ReadonlySet<string> | undefined {
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined
  const names = value
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !NEVER_NAMED.has(name))
  return names.length === 0 ? undefined : new Set(names)
}

/** What a response's framing depends on besides its own fields. */
export interface ResponseFraming {
  readonly status: number
  readonly method: string | undefined
  readonly httpVersion: string
}

/** The fields a client gets: the upstream's without those of its own connection, in their order, case and number. */
export function responseFields(raw: readonly string[], framing: ResponseFraming): string[] {
  const named = namedByConnection(fieldValue(raw, 'connection'))
  const fields: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (!isHop(RESPONSE_HOP, name, named)) fields.push(name, raw[i + 1] ?? '')
  }
  // RFC 9110 section 8.6: a 204 has no length.
  if (framing.status === 204)
    return fields.filter((_, i) => fields[i - (i % 2)]?.toLowerCase() !== 'content-length')
  const trailer = isChunked(framing) ? fieldValue(raw, 'trailer') : undefined
  if (trailer !== undefined && fieldValue(raw, 'content-length') === undefined)
    fields.push('Trailer', trailer)
  return fields
}

/** Without a length of its own, Node sends the content in chunks: only then can trailers follow. */
function isChunked({ status, method, httpVersion }: ResponseFraming): boolean {
  return httpVersion !== '1.0' && method !== 'HEAD' && status !== 204 && status !== 304
}
