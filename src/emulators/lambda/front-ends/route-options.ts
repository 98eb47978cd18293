import type { FunctionAddress } from '../../../core/function.ts'
import type { RouteRule } from '../../../core/route.ts'

/** Which endpoint of the cloud a route stands for: it decides the event, the answer and every refusal. */
export type FrontEndName = 'function-url' | 'http-api' | 'rest-api' | 'alb'

/** What a reader of templates leaves at a route (`RouteRule.options`) for its front end. Whatever is absent has the cloud's default. */
export interface RouteOptions {
  readonly frontEnd: FrontEndName
  /** `GET /users/{id}`, `$default`. */
  readonly routeKey?: string | undefined
  /** `/users/{id}` */
  readonly resource?: string | undefined
  /** `$default` is not part of the path; default `Prod` for REST APIs, `$default` for HTTP APIs. */
  readonly stage?: string | undefined
  /** Of HTTP APIs; default 2.0. */
  readonly payloadFormat?: '1.0' | '2.0' | undefined
  readonly stageVariables?: Readonly<Record<string, string>> | undefined
  /** Media types whose bodies are bytes, for REST APIs: `image/png`, and slash-separated wildcards. */
  readonly binaryMediaTypes?: readonly string[] | undefined
  /** The API's id in events and ARNs, the same for all its routes: policies of authorizers name it. Default is the function's name. */
  readonly apiId?: string | undefined
  /** How long the endpoint waits for its function. Default 29 000 ms for REST APIs and 30 000 for HTTP APIs; others wait as long as it may take. */
  readonly timeoutMs?: number | undefined
  /** `responseTransferMode: STREAM` of a REST API: what the handler streams is passed on as it comes. Function URLs do unless this is false. */
  readonly streams?: boolean | undefined
  /** OperationName of a REST API's method, passed on in the event. */
  readonly operationName?: string | undefined
  /** Of HTTP APIs and function URLs. REST APIs have no such block: their OPTIONS is a method like any other. */
  readonly cors?: CorsOptions | undefined
  /** The route is there for preflight requests alone and calls no function: see `preflightRoute`. */
  readonly preflight?: boolean | undefined
  /** REST APIs: 403 without a known key in `x-api-key`. */
  readonly apiKeyRequired?: boolean | undefined
  /** REST APIs: the keys that exist. Without any, every request of a route with `apiKeyRequired` is refused. */
  readonly apiKeys?: readonly ApiKey[] | undefined
  readonly authorizer?: AuthorizerOptions | undefined
  /** REST APIs: what a request must have to reach the function. */
  readonly validation?: ValidationOptions | undefined
  /** Load balancers: `multiValueHeaders` and `multiValueQueryStringParameters` in place of the single ones; default false. */
  readonly multiValueHeaders?: boolean | undefined
  /** Load balancers: default is an ARN made of the function's name. */
  readonly targetGroupArn?: string | undefined
  /** Load balancers: the rule that leads here, where more than path and method decides. Its route takes all that the listener gets. */
  readonly listener?: ListenerRule | undefined
}

/** A request validator of a REST API, with what its method declares. */
export interface ValidationOptions {
  /** Those that must be there: `querystring.NAME`, `header.NAME`, `path.NAME`. */
  readonly parameters?: readonly string[] | undefined
  /** JSON Schemas (draft 4) for bodies, by media type; `$default` is for every other type. */
  readonly models?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined
}

/** One rule of a load balancer's listener. All rules of one listener say so, or none. */
interface ListenerRule {
  /** The same for all rules of a listener: its ARN. */
  readonly name: string
  /** The lowest is asked first. */
  readonly priority: number
  readonly conditions: ListenerConditions
}

/** All must hold; of the values of one, any. `*` and `?` are wildcards in all but methods and addresses. */
export interface ListenerConditions {
  readonly path?: readonly string[] | undefined
  readonly method?: readonly string[] | undefined
  readonly host?: readonly string[] | undefined
  readonly headers?: readonly { readonly name: string; readonly values: readonly string[] }[] | undefined
  /** Without a key, the value of any. */
  readonly query?: readonly { readonly key?: string | undefined; readonly value: string }[] | undefined
  /** Addresses and CIDR blocks. */
  readonly ip?: readonly string[] | undefined
}

/**
 * What a reader of templates leaves at the routes of a WebSocket API; all of one API have the same (`webSocketRoutes` makes them).
 * Whatever is absent has the cloud's default.
 */
export interface WebSocketOptions {
  readonly frontEnd: 'websocket'
  /** With the stage, what connections are kept by while routes come and go. */
  readonly apiId: string
  readonly stage: string
  /** The one path that takes handshakes, without a slash at its end; undefined takes all that the rule does. */
  readonly path?: string | undefined
  /** RouteSelectionExpression; default `$request.body.action`. */
  readonly selection?: string | undefined
  /** By route key: `$connect`, `$disconnect`, `$default`, and names that messages ask for. */
  readonly routes: Readonly<Record<string, WebSocketRoute>>
  readonly stageVariables?: Readonly<Record<string, string>> | undefined
  /** The keys that exist, for a `$connect` with `apiKeyRequired`. */
  readonly apiKeys?: readonly ApiKey[] | undefined
  readonly limits?: Partial<WebSocketLimits> | undefined
}

export interface WebSocketRoute {
  /** Name of a function of the project. */
  readonly function: string
  /** A two-way route (RouteResponseSelectionExpression `$default`): the body of the function's result goes back to the client. */
  readonly responds?: boolean | undefined
  /** Of `$connect`: `route.request.header.NAME`, `route.request.querystring.NAME`, `stageVariables.NAME`, `context.NAME`. */
  readonly authorizer?: RequestAuthorizerOptions | undefined
  /** Of `$connect`: 403 without a known key in `x-api-key`. */
  readonly apiKeyRequired?: boolean | undefined
  /** How long is waited for the function; default 29 000 ms. */
  readonly timeoutMs?: number | undefined
}

/** API Gateway's own, unless somebody wants others. */
export interface WebSocketLimits {
  /** Milliseconds without a message in either direction; default ten minutes. */
  readonly idleMs: number
  /** Milliseconds that a connection may last; default two hours. */
  readonly durationMs: number
  /** Bytes of a message; default 128 KiB. */
  readonly messageBytesMax: number
  /** Bytes of one frame of it; default 32 KiB. */
  readonly frameBytesMax: number
}

/** A CORS block. An absent list allows nothing of its kind. */
export interface CorsOptions {
  /** `https://a.example`, `http://localhost:*` (`*` stands for any text), or `*` alone. */
  readonly allowOrigins?: readonly string[] | undefined
  /** `GET`, or `*` alone. */
  readonly allowMethods?: readonly string[] | undefined
  /** Field names in any case, or `*` alone. */
  readonly allowHeaders?: readonly string[] | undefined
  readonly exposeHeaders?: readonly string[] | undefined
  /** Seconds a browser may remember the answer. */
  readonly maxAge?: number | undefined
  readonly allowCredentials?: boolean | undefined
}

export interface ApiKey {
  /** `requestContext.identity.apiKeyId`; default the value's first letters. */
  readonly id?: string | undefined
  readonly value: string
}

/** Who says whether a request may reach its function. */
export type AuthorizerOptions = TokenAuthorizerOptions | RequestAuthorizerOptions | JwtAuthorizerOptions

/** REST APIs: a function that is given one field. */
export interface TokenAuthorizerOptions {
  readonly kind: 'token'
  /** Name of a function of the project. */
  readonly function: string
  /** Name of the field, or `method.request.header.NAME`; default `Authorization`. */
  readonly identitySource?: string | undefined
  /** A token that this regular expression does not match whole is 401, and the function is not asked. */
  readonly validation?: string | undefined
  /** How long an answer counts for its token; 0 asks every time. Default 300, at most 3600. */
  readonly ttlSeconds?: number | undefined
}

/** A function that is given the whole request. */
export interface RequestAuthorizerOptions {
  readonly kind: 'request'
  /** Name of a function of the project. */
  readonly function: string
  /**
   * What must be there, and what answers are remembered by. REST: `method.request.header.NAME`, `method.request.querystring.NAME`,
   * `stageVariables.NAME`, `context.NAME`. HTTP: `$request.header.NAME`, `$request.querystring.NAME`, `$stageVariables.NAME`,
   * `$context.NAME`. Both spellings work in both. Default none.
   */
  readonly identitySources?: readonly string[] | undefined
  /** Default 300 for REST APIs, 0 for HTTP APIs. Without identity sources nothing is remembered. */
  readonly ttlSeconds?: number | undefined
  /** HTTP APIs: default 2.0. REST APIs have their own. */
  readonly payloadFormat?: '1.0' | '2.0' | undefined
  /** HTTP APIs, format 2.0: the answer is `{ isAuthorized, context }` in place of a policy. */
  readonly simpleResponses?: boolean | undefined
}

/** HTTP APIs: a signed token. */
export interface JwtAuthorizerOptions {
  readonly kind: 'jwt'
  /** As the token's `iss` has it. Its keys are found through `ISSUER/.well-known/openid-configuration` unless `jwksUrl` says where. */
  readonly issuer: string
  /** One of them must be the token's `aud`, or its `client_id`. */
  readonly audience: readonly string[]
  readonly jwksUrl?: string | undefined
  /** `$request.header.NAME` or `$request.querystring.NAME`; default `$request.header.Authorization`. */
  readonly identitySource?: string | undefined
  /** One of them must be in the token's `scope` or `scp`; without any, every token will do. */
  readonly scopes?: readonly string[] | undefined
}

/** `FunctionConfig.options.url`: a function's own address (`FunctionUrlConfig`, serverless' `url`). */
interface FunctionUrlOptions {
  readonly cors?: CorsOptions | undefined
  /** BUFFERED takes what a handler streams for a plain result; default RESPONSE_STREAM, unlike in the cloud. */
  readonly invokeMode?: 'BUFFERED' | 'RESPONSE_STREAM' | undefined
}

/**
 * An API with a CORS block answers preflight requests for every path, whatever routes it has: readers of templates add this route,
 * made of any route of the API, unless the API has a `$default` route or no block.
 */
export function preflightRoute(route: RouteRule & { readonly options: RouteOptions }): RouteRule {
  const { frontEnd, cors, stage } = route.options
  const options: RouteOptions = { frontEnd, cors, stage, preflight: true, routeKey: 'OPTIONS' }
  return {
    ...route,
    matcher: { kind: 'template', method: 'OPTIONS', segments: undefined },
    pattern: 'OPTIONS (preflight)',
    options,
  }
}

/** What an address says to its front end. One without a word for it is a function URL, with the block that its function has for that. */
export function guardedOptions({ config, options }: FunctionAddress): RouteOptions {
  if (isRouteOptions(options)) return options
  const url = config.options['url'] as FunctionUrlOptions | undefined
  const streams = url?.invokeMode === 'BUFFERED' ? false : undefined
  return { frontEnd: 'function-url', cors: url?.cors, streams }
}

export function isRouteOptions(options: unknown): options is RouteOptions {
  return hasFrontEnd(options) && options.frontEnd !== 'websocket'
}

export function isWebSocketOptions(options: unknown): options is WebSocketOptions {
  return hasFrontEnd(options) && options.frontEnd === 'websocket'
}

function hasFrontEnd(options: unknown): options is { readonly frontEnd: unknown } {
  return typeof options === 'object' && options !== null && 'frontEnd' in options
}

/** Whether anything is asked before the function is. */
export function isGuarded(options: RouteOptions): boolean {
  const { frontEnd, cors, preflight, apiKeyRequired, authorizer, streams, listener, validation } = options
  if (validation !== undefined) return true
  const isAsked = preflight === true || apiKeyRequired === true || authorizer !== undefined
  return (
    isAsked ||
    cors !== undefined ||
    listener !== undefined ||
    (frontEnd === 'function-url' && streams === false)
  )
}
