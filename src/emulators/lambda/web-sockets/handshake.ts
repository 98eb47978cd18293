import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import type { RequestContext } from '../../../core/fetcher.ts'
import { answerRaw } from '../../../forward/raw-answer.ts'
import { splitTarget } from '../front-ends/front-end.ts'
import { fieldOf } from '../front-ends/identity.ts'
import type { Authorized } from '../front-ends/passage.ts'
import type { WebSocketLimits, WebSocketOptions, WebSocketRoute } from '../front-ends/route-options.ts'
import { authorizeConnect } from './connect-authorizer.ts'
import { Connection, gatewayMessage } from './connection.ts'
import { connectEvent, disconnectEvent, newId, type Client } from './events.ts'
import { callRoute, type ServedApi } from './route-call.ts'
import { GOING_AWAY, type WebSockets } from './web-sockets.ts'

/** A request that asks for a connection. */
export interface Offer {
  readonly incoming: IncomingMessage
  readonly socket: Duplex
  /** Bytes the client sent right behind the head. */
  readonly head: Buffer
  readonly context: RequestContext
  /** The one path that takes handshakes; undefined takes all. */
  readonly path: string | undefined
}

/** Why there is no connection: a status, and what API Gateway or the function says with it. */
interface Refusal {
  readonly status: number
  readonly message: string | Buffer
}

/** What `$connect` and its authorizer made of an offer. */
interface Admission {
  readonly authorized: Authorized | undefined
  readonly protocol: string | undefined
}

const DEFAULT_LIMITS: WebSocketLimits = {
  idleMs: 10 * 60_000,
  durationMs: 2 * 60 * 60_000,
  messageBytesMax: 128 * 1024,
  frameBytesMax: 32 * 1024,
}

/** Asks key, authorizer and `$connect`, then opens the connection, or answers why not. */
export async function shakeHands(api: ServedApi, offer: Offer, webSockets: WebSockets): Promise<void> {
  const { context } = offer
  const { fields } = context.raw
  const asking: Client = {
    id: newId(),
    connectedAt: Date.now(),
    sourceIp: context.clientAddress,
    userAgent: fieldOf(fields, 'user-agent'),
    domainName: fieldOf(fields, 'host') ?? '',
    authorized: undefined,
  }
  const admission = refusalOf(api.options, offer) ?? (await admit(api, asking, context))
  if ('status' in admission) {
    refuse(offer, asking, admission)
    return
  }
  const client: Client = { ...asking, authorized: admission.authorized }
  if (!(await open(offer, admission, { api, client, webSockets }))) await leaveAtOnce(api, client)
}

const KEY = /^[+/0-9A-Za-z]{22}==$/

/** What is refused without asking anybody. */
function refusalOf(
  { routes, apiKeys }: WebSocketOptions,
  { incoming, context, path }: Offer,
): Refusal | undefined {
  const asked = splitTarget(context.raw.target).path
  if (path !== undefined && asked.replace(/\/+$/, '') !== path) return FORBIDDEN
  const { 'sec-websocket-key': key, 'sec-websocket-version': version } = incoming.headers
  if (key === undefined || !KEY.test(key) || version !== '13') return { status: 400, message: 'Bad Request' }
  if (routes['$connect']?.apiKeyRequired !== true) return undefined
  const sent = fieldOf(context.raw.fields, 'x-api-key')
  return apiKeys?.some(({ value }) => value === sent) === true ? undefined : FORBIDDEN
}

const FORBIDDEN: Refusal = { status: 403, message: 'Forbidden' }

const INTERNAL_ERROR = 'Internal server error'

const AUTHORIZER_REFUSALS = {
  unauthorized: { status: 401, message: 'Unauthorized' },
  denied: FORBIDDEN,
  'explicitly-denied': FORBIDDEN,
  broken: { status: 500, message: INTERNAL_ERROR },
} as const satisfies Record<string, Refusal>

async function admit(api: ServedApi, asking: Client, context: RequestContext): Promise<Admission | Refusal> {
  const route = api.options.routes['$connect']
  if (route === undefined) return { authorized: undefined, protocol: undefined }
  const { authorizer } = route
  const verdict =
    authorizer === undefined ? undefined : await authorizeConnect(api, asking, { authorizer, context })
  if (verdict?.kind === 'refused') return AUTHORIZER_REFUSALS[verdict.why]
  const authorized = verdict?.authorized
  return await askFunction(api, route, { client: { ...asking, authorized }, context })
}

async function askFunction(
  api: ServedApi,
  route: WebSocketRoute,
  { client, context }: { readonly client: Client; readonly context: RequestContext },
): Promise<Admission | Refusal> {
  const outcome = await callRoute(api, route, connectEvent(api.options, client, context).event)
  switch (outcome.kind) {
    case 'failed':
      return { status: 502, message: INTERNAL_ERROR }
    case 'timed-out':
      return { status: 504, message: 'Endpoint request timed out' }
    case 'result':
      return outcome.status >= 400
        ? { status: outcome.status, message: Buffer.from(outcome.body ?? '') }
        : { authorized: client.authorized, protocol: outcome.protocol }
  }
}

function refuse({ socket, context }: Offer, { id }: Client, { status, message }: Refusal): void {
  const requestId = newId()
  context.note({ status })
  answerRaw(socket, {
    status,
    contentType: 'application/json',
    text:
      typeof message === 'string'
        ? gatewayMessage(message, { connectionId: id, requestId })
        : message.toString(),
    fields: ['x-amzn-requestid', context.id, 'x-amz-apigw-id', requestId],
  })
}

/** The client was gone before it was let in: its function must hear of that, for it keeps the connection. */
async function leaveAtOnce(api: ServedApi, client: Client): Promise<void> {
  const route = api.options.routes['$disconnect']
  if (route === undefined) return
  const { event } = disconnectEvent(api.options, client, { code: 1006, reason: '' })
  await callRoute(api, route, event)
}

interface Opening {
  readonly api: ServedApi
  readonly client: Client
  readonly webSockets: WebSockets
}

/** False when the client is gone by now. */
async function open(
  { incoming, socket, head, context }: Offer,
  { protocol }: Admission,
  { api, client, webSockets: { connections } }: Opening,
): Promise<boolean> {
  const { WebSocketServer } = await import('ws')
  const limits = { ...DEFAULT_LIMITS, ...api.options.limits }
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: limits.messageBytesMax,
    // As in the cloud, the function says what is spoken; without its word nothing is.
    handleProtocols: () => protocol ?? false,
  })
  let isOpen = false
  server.handleUpgrade(incoming, socket, head, (webSocket) => {
    isOpen = true
    const gone = (): void => void connections.delete(client.id)
    const connection = new Connection({ api, client, context, limits, gone }, webSocket, socket)
    connections.set(client.id, connection)
    if (api.host.closing?.aborted === true) connection.close(GOING_AWAY)
  })
  return isOpen
}
