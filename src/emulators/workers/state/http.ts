import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { RequestContext, SocketFetcher } from '../../../core/fetcher.ts'
import { closest } from '../../../core/suggest.ts'
import type { ControlAnswer, ControlRequest } from '../control/control.ts'
import { groupsOf, type Groups, type Member } from '../groups/groups.ts'
import { fieldText, fieldValue } from './ask.ts'
import { namesOf } from './find.ts'
import type { HttpMetadata } from './r2.ts'
import { resourcesOf, type StoredResource, type WorkerResources } from './resources.ts'

/** `/state`, `/FUNCTION/state` and everything below that. */
export function isStateTarget(target: string): boolean {
  return /^(?:\/[^/?]+)?\/state(?:[/?]|$)/.test(target)
}

/**
 * Stored data of the workers that run, for programs of this machine:
 *
 *     GET /state                                what all workers keep
 *     GET /FUNCTION/state                       what one keeps
 *     PUT /FUNCTION/state/kv/BINDING/values/KEY the requests of state-source.ts, with a binding or an id
 */
export function openStateApi(app: object): SocketFetcher {
  const groups = groupsOf(app)
  return {
    async handle(incoming, outgoing, context) {
      const { path, query } = splitTarget(context.raw.target)
      if (path[0] === 'state' && path.length === 1) {
        sendJson(outgoing, { functions: groups.members().map(resources) })
        return
      }
      const member = memberOf(groups, path[0] ?? '')
      if (path.length === 2) sendJson(outgoing, resources(member))
      else await relay({ groups, member }, { path: path.slice(2), query }, { incoming, outgoing, context })
    },
  }
}

const resources = (member: Member): WorkerResources => resourcesOf(member.config.name, member.settings())

function memberOf(groups: Groups, name: string): Member {
  const members = groups.members()
  const member = members.find(({ config }) => config.name === name)
  if (member !== undefined) return member
  const names = members.map(({ config }) => config.name)
  throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no worker is called ${name}`, {
    hint: suggestion(name, names),
  })
}

interface Target {
  /** Undecoded. */
  readonly path: readonly string[]
  /** With its `?`. */
  readonly query: string
}

function splitTarget(target: string): Target {
  const at = target.indexOf('?')
  const path = at === -1 ? target : target.slice(0, at)
  return { path: path.split('/').slice(1), query: at === -1 ? '' : target.slice(at) }
}

interface Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

async function relay(
  { groups, member }: { groups: Groups; member: Member },
  target: Target,
  { incoming, outgoing }: Exchange,
): Promise<void> {
  const { name } = member.config
  const control = await groups.control(name)
  const asked: ControlRequest = {
    method: incoming.method ?? 'GET',
    target: controlTarget(target, resources(member)),
    fields: requestFields(incoming),
    body: incoming,
  }
  const answer = await control.ask(asked).catch((cause: unknown) => {
    throw new FlexiError('FLEXI_FUNCTION_CRASHED', `${name}: nothing was answered: ${errorMessage(cause)}`, {
      cause,
    })
  })
  outgoing.writeHead(answer.status, answerFields(answer))
  await pipeline(answer.body, outgoing)
}

/** `kv/KV/values/a%2Fb` → `/state/kv/0f2c…/value?key=a%2Fb` */
function controlTarget({ path, query }: Target, all: WorkerResources): string {
  const [kind = '', name = '', ...rest] = path.map(decode)
  // `secret/STORE/NAME/value` has its name in two.
  const whole = kind === 'secret' && rest.length > 1 ? `${name}/${rest.shift() ?? ''}` : name
  const list = isKind(kind) ? all[kind] : []
  const found = list.find((one) => namesOf(one).includes(whole))
  if (found === undefined) throw unknownResource({ kind, name: whole, all, list })
  const id = found.id.split('/').map(encodeURIComponent).join('/')
  return `/state/${kind}/${id}/${operationOf(rest, query)}`
}

/** What follows the name of a resource: `['values', 'a', 'b']` → `value?key=a%2Fb` */
function operationOf([operation = '', ...key]: readonly string[], query: string): string {
  if (key.length === 0) return `${encodeURIComponent(operation)}${query}`
  const singular = encodeURIComponent(operation.replace(/s$/, ''))
  return `${singular}?key=${encodeURIComponent(key.join('/'))}${query.replace('?', '&')}`
}

function isKind(kind: string): kind is Exclude<keyof WorkerResources, 'function'> {
  return ['kv', 'r2', 'd1', 'queue', 'secret'].includes(kind)
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new FlexiError('FLEXI_BAD_REQUEST', `${segment} is not percent-encoded UTF-8`, { cause })
  }
}

function unknownResource(asked: {
  readonly kind: string
  readonly name: string
  readonly all: WorkerResources
  readonly list: readonly StoredResource[]
}): FlexiError {
  if (!isKind(asked.kind))
    return new FlexiError('FLEXI_NO_ROUTE', `there is no state of the kind "${asked.kind}"`, {
      hint: 'Ask for kv, r2, d1, queue or secret.',
    })
  const names = asked.list.map(({ binding, id }) => binding ?? id)
  return new FlexiError(
    'FLEXI_NO_ROUTE',
    `${asked.all.function} is bound to no ${asked.kind} ${asked.name}`,
    {
      hint: suggestion(asked.name, names),
    },
  )
}

function suggestion(word: string, names: readonly string[]): string {
  const near = closest(word, names)
  return near === undefined ? `There is: ${names.join(', ') || 'none'}.` : `Did you mean ${near}?`
}

/** An object's fields may be given as those of the request, as S3 has it. */
function requestFields({ headers }: IncomingMessage): Record<string, string> {
  const names = ['content-length', 'flexi-metadata', 'flexi-object'] as const
  const fields: Record<string, string> = {}
  for (const name of names) {
    const value = headers[name]
    if (typeof value === 'string') fields[name] = value
  }
  if (fields['flexi-object'] === undefined)
    fields['flexi-object'] = fieldText({ httpMetadata: httpMetadata(headers) })
  return fields
}

function httpMetadata(headers: IncomingMessage['headers']): HttpMetadata {
  const expires = new Date(headers.expires ?? '')
  return {
    contentType: headers['content-type'],
    contentLanguage: headers['content-language'],
    contentDisposition: headers['content-disposition'],
    contentEncoding: headers['content-encoding'],
    cacheControl: headers['cache-control'],
    cacheExpiry: Number.isNaN(expires.getTime()) ? undefined : expires.toISOString(),
  }
}

function answerFields({ fields }: ControlAnswer): OutgoingHttpHeaders {
  const named = ['content-type', 'content-length', 'flexi-metadata', 'flexi-object']
  const kept = Object.fromEntries(Object.entries(fields).filter(([name]) => named.includes(name)))
  const object = fieldValue<{ httpMetadata?: HttpMetadata; etag?: string }>(fields['flexi-object'])
  if (object === undefined) return kept
  const { contentType, contentLanguage, contentDisposition, contentEncoding, cacheControl, cacheExpiry } =
    object.httpMetadata ?? {}
  const all: OutgoingHttpHeaders = {
    ...kept,
    'content-type': contentType ?? 'application/octet-stream',
    'content-language': contentLanguage,
    'content-disposition': contentDisposition,
    'content-encoding': contentEncoding,
    'cache-control': cacheControl,
    expires: cacheExpiry === undefined ? undefined : new Date(cacheExpiry).toUTCString(),
    etag: object.etag === undefined ? undefined : `"${object.etag}"`,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => isFieldValue(value)))
}

/** What no field can carry stays in `flexi-object` alone. */
function isFieldValue(value: unknown): boolean {
  return typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}

function sendJson(outgoing: ServerResponse, value: unknown): void {
  const text = JSON.stringify(value)
  outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  outgoing.end(text)
}
