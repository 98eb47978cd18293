import { randomBytes } from 'node:crypto'

import type { RequestContext } from '../../../core/fetcher.ts'
import { ACCOUNT_ID } from '../definition.ts'
import { allOf, fieldLists, lastOf } from '../front-ends/format-1.ts'
import { queryValues, requestTime, splitTarget } from '../front-ends/front-end.ts'
import type { Authorized } from '../front-ends/passage.ts'
import type { WebSocketOptions } from '../front-ends/route-options.ts'
import { newTrace } from '../trace.ts'

/** Who is connected, as every event of the connection tells. */
export interface Client {
  /** `L0SM9cOFvHcCIhw=` */
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly connectedAt: number
  readonly sourceIp: string
  readonly userAgent: string | undefined
  /** The host that the client asked for, with its port. */
  readonly domainName: string
  readonly authorized: Authorized | undefined
}

type Api = Pick<WebSocketOptions, 'apiId' | 'stage' | 'stageVariables'>

interface LocatedApi {
  readonly options: Api
  /** `eu-west-1` */
  readonly region: string
}

/** An event and the id that answers about it name. */
export interface WebSocketEvent {
  readonly requestId: string
  readonly event: object
}

/** Ids of connections, requests and messages: eleven bytes. */
export function newId(): string {
  return randomBytes(11).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

/** The request that asks for a connection. It is all that functions ever see of its fields and query. */
export function connectEvent(api: Api, client: Client, context: RequestContext): WebSocketEvent {
  const requestId = newId()
  return {
    requestId,
    event: {
      ...requestPart(context),
      ...stagePart(api),
      requestContext: requestContext({ api, client, requestId, routeKey: '$connect', eventType: 'CONNECT' }),
      isBase64Encoded: false,
    },
  }
}

export function messageEvent(api: Api, client: Client, message: MessageParts): WebSocketEvent {
  const requestId = newId()
  const { routeKey, body } = message
  const { routeKey: first, ...rest } = requestContext({
    api,
    client,
    requestId,
    routeKey,
    eventType: 'MESSAGE',
  })
  return {
    requestId,
    event: {
      ...stagePart(api),
      requestContext: { routeKey: first, messageId: newId(), ...rest },
      body,
      isBase64Encoded: false,
    },
  }
}

interface MessageParts {
  readonly routeKey: string
  readonly body: string
}

export function disconnectEvent(api: Api, client: Client, ending: Ending): WebSocketEvent {
  const requestId = newId()
  const { routeKey, ...rest } = requestContext({
    api,
    client,
    requestId,
    routeKey: '$disconnect',
    eventType: 'DISCONNECT',
  })
  const headers = { Host: client.domainName, 'x-api-key': '', 'X-Forwarded-For': '', 'x-restapi': '' }
  return {
    requestId,
    event: {
      headers,
      multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
      ...stagePart(api),
      requestContext: {
        routeKey,
        disconnectStatusCode: ending.code,
        ...rest,
        disconnectReason: ending.reason,
      },
      isBase64Encoded: false,
    },
  }
}

/** How a connection ended: a close code of RFC 6455, and what was said with it. */
export interface Ending {
  readonly code: number
  readonly reason: string
}

/** What the authorizer of `$connect` is given: its event, with maps for what is not there. */
export function authorizerEvent(
  { options: api, region }: LocatedApi,
  client: Client,
  context: RequestContext,
): object {
  const requestId = newId()
  const { query } = splitTarget(context.raw.target)
  const values = queryValues(query)
  return {
    type: 'REQUEST',
    methodArn: connectArn({ options: api, region }),
    ...requestPart(context),
    queryStringParameters: lastOf(values) ?? {},
    multiValueQueryStringParameters: allOf(values) ?? {},
    stageVariables: api.stageVariables ?? {},
    requestContext: requestContext({ api, client, requestId, routeKey: '$connect', eventType: 'CONNECT' }),
  }
}

/** What policies of authorizers name. */
export function connectArn({ options: { apiId, stage }, region }: LocatedApi): string {
  return `arn:aws:execute-api:${region}:${ACCOUNT_ID}:${apiId}/${stage}/$connect`
}

function requestPart(context: RequestContext): object {
  const fields = fieldLists({ context, trace: newTrace(context.id, context.receivedAt) })
  const values = queryValues(splitTarget(context.raw.target).query)
  return {
    headers: lastOf(fields),
    multiValueHeaders: allOf(fields),
    ...(values.size === 0
      ? {}
      : { queryStringParameters: lastOf(values), multiValueQueryStringParameters: allOf(values) }),
  }
}

function stagePart({ stageVariables }: Api): object {
  return stageVariables === undefined ? {} : { stageVariables }
}

interface ContextParts {
  readonly api: Api
  readonly client: Client
  readonly requestId: string
  readonly routeKey: string
  readonly eventType: 'CONNECT' | 'MESSAGE' | 'DISCONNECT'
}

function requestContext({ api, client, requestId, routeKey, eventType }: ContextParts) {
  const now = Date.now()
  return {
    routeKey,
    ...authorizerPart(client.authorized),
    eventType,
    extendedRequestId: requestId,
    requestTime: requestTime(now),
    messageDirection: 'IN',
    stage: api.stage,
    connectedAt: client.connectedAt,
    requestTimeEpoch: now,
    identity: {
      ...(client.userAgent === undefined ? {} : { userAgent: client.userAgent }),
      sourceIp: client.sourceIp,
    },
    requestId,
    domainName: client.domainName,
    connectionId: client.id,
    apiId: api.apiId,
  }
}

/** What the authorizer said at the handshake goes along with every later event. */
function authorizerPart(authorized: Authorized | undefined): object {
  return authorized?.kind === 'lambda' ? { authorizer: lambdaAuthorizerPart(authorized) } : {}
}

function lambdaAuthorizerPart({
  context,
  principalId,
  tookMs,
}: Extract<Authorized, { kind: 'lambda' }>): object {
  const texts = Object.entries(context).map(([name, value]) => [name, String(value)] as const)
  return { principalId: principalId ?? '', ...Object.fromEntries(texts), integrationLatency: tookMs }
}
