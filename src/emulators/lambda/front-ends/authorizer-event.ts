import { ACCOUNT_ID } from '../definition.ts'
import { format1Object } from './format-1.ts'
import { splitTarget, type FrontEndRequest } from './front-end.ts'
import { httpApiEvent2 } from './http-api.ts'
import type { RouteOptions } from './route-options.ts'

/** `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH`, which policies name. */
export function methodArn(request: FrontEndRequest, options: RouteOptions): string {
  const { context, functionName, region } = request
  const stage = options.stage ?? (options.frontEnd === 'rest-api' ? 'Prod' : '$default')
  const path = splitTarget(context.raw.target).path.replace(/^\/+/, '')
  const api = options.apiId ?? functionName
  return `arn:aws:execute-api:${region}:${ACCOUNT_ID}:${api}/${stage}/${context.raw.method}/${path}`
}

/** What a TOKEN authorizer is given. */
export function tokenEvent(request: FrontEndRequest, options: RouteOptions, token: string): object {
  return { type: 'TOKEN', methodArn: methodArn(request, options), authorizationToken: token }
}

/** What a REQUEST authorizer is given: the event of its API without a body, and who asks. */
export function requestEvent(
  request: FrontEndRequest,
  options: RouteOptions,
  { format, identity }: { readonly format: '1.0' | '2.0'; readonly identity: readonly string[] },
): object {
  if (options.frontEnd === 'rest-api') return restEvent(request, options)
  return format === '1.0' ? http1Event(request, options, identity) : http2Event(request, options, identity)
}

function restEvent(request: FrontEndRequest, options: RouteOptions): object {
  const { body: _body, isBase64Encoded: _encoded, ...event } = format1Object(request, { version: undefined })
  return { type: 'REQUEST', methodArn: methodArn(request, options), ...withoutNulls(event) }
}

function http1Event(request: FrontEndRequest, options: RouteOptions, identity: readonly string[]): object {
  const {
    body: _body,
    isBase64Encoded: _encoded,
    multiValueHeaders: _headers,
    multiValueQueryStringParameters: _query,
    ...event
  } = format1Object(request, { version: '1.0' })
  const identitySource = identity.join(',')
  return {
    version: '1.0',
    type: 'REQUEST',
    methodArn: methodArn(request, options),
    identitySource,
    authorizationToken: identitySource,
    ...withoutNulls(event),
  }
}

function http2Event(request: FrontEndRequest, options: RouteOptions, identity: readonly string[]): object {
  const event = JSON.parse(httpApiEvent2(request)) as Readonly<Record<string, unknown>>
  const { version, isBase64Encoded: _encoded, ...rest } = event
  return {
    version,
    type: 'REQUEST',
    routeArn: methodArn(request, options),
    identitySource: identity.length === 0 ? null : identity,
    ...rest,
  }
}

/** Maps without content are empty to authorizers, where functions get null. */
function withoutNulls(event: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(event).map(([name, value]) => [name, value ?? {}]))
}
