import type { Place } from '../../../core/place.ts'
import { parseTemplate, type RouteRule, type TemplateSegment } from '../../../core/route.ts'
import { preflightRoute, type CorsOptions, type RouteOptions } from '../front-ends/route-options.ts'

export interface ApiRoute {
  readonly functionName: string
  readonly frontEnd: 'http-api' | 'rest-api'
  /** Any case; `ANY`, `*` and undefined take every method. */
  readonly method: string | undefined
  /** `/users/{id}`; undefined or `*` is `$default`. */
  readonly path: string | undefined
  readonly origin: Place
  readonly options: Omit<RouteOptions, 'frontEnd' | 'routeKey' | 'resource'>
}

/** `GET /a`; `$default` has neither part. */
export function splitRouteKey(routeKey: string): Pick<ApiRoute, 'method' | 'path'> {
  const [method, path] = routeKey.split(' ')
  return path === undefined ? { method: undefined, path: undefined } : { method, path }
}

export function formatOf(version: string | undefined): '1.0' | '2.0' {
  return version === '1.0' ? '1.0' : '2.0'
}

/** A rule with what a front end needs. */
export type LambdaRoute = RouteRule & { readonly options: RouteOptions }

/** A route of API Gateway as the gateway matches it; what its event has to say goes along as options. */
export function apiRoute({ functionName, frontEnd, method, path, origin, options }: ApiRoute): LambdaRoute {
  const any = method === undefined || /^(any|\*|x-amazon-apigateway-any-method)$/i.test(method)
  const byDefault = path === undefined || path === '*' || path === '$default'
  const resource = byDefault ? undefined : `/${path.replace(/^\/+/, '')}`
  const verb = any ? 'ANY' : method.toUpperCase()
  const pattern = resource === undefined ? '$default' : `${verb} ${resource}`
  const routeOptions: RouteOptions = { frontEnd, routeKey: pattern, resource, ...options }
  return {
    matcher: {
      kind: 'template',
      method: any ? undefined : verb,
      segments: resource === undefined ? undefined : parseTemplate(resource),
    },
    target: { kind: 'function', name: functionName },
    pattern,
    origin,
    options: routeOptions,
  }
}

/**
 * Adds a route, and what answers preflight requests for it: of a REST API the path's own OPTIONS (unless it has one), of an HTTP API
 * with a CORS block one route for all paths (unless `$default` takes them).
 */
export function addApiRoute(routes: RouteRule[], rule: LambdaRoute, restCors?: CorsOptions): void {
  routes.push(rule)
  if (restCors !== undefined && rule.matcher.kind === 'template') addRestPreflight(routes, rule, restCors)
  if (rule.options.frontEnd === 'http-api' && rule.options.cors !== undefined)
    routes.push(preflightRoute(rule))
}

/** The methods of a path share its OPTIONS, which allows what any of them does. Where none is named, those of the path are. */
export function addRestPreflight(routes: RouteRule[], rule: LambdaRoute, said: CorsOptions): void {
  const method = rule.matcher.kind === 'template' ? rule.matcher.method : undefined
  const own = { ...said, allowMethods: said.allowMethods ?? preflightMethods(method) }
  const pattern = `OPTIONS ${rule.options.resource ?? '/'}`
  const index = routes.findIndex((other) => other.pattern === pattern && isPreflight(other))
  const known = (routes[index]?.options as RouteOptions | undefined)?.cors
  const cors = known === undefined ? own : joinedCors(known, own)
  const preflight = preflightRoute({ ...rule, options: { ...rule.options, cors } })
  const route = { ...preflight, matcher: { ...rule.matcher, method: 'OPTIONS' }, pattern }
  routes.splice(index === -1 ? routes.length : index, index === -1 ? 0 : 1, route)
}

const REST_METHODS = ['OPTIONS', 'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD'] as const

/** What a preflight request is told of a path's method; undefined is any. */
export function preflightMethods(method: string | undefined): readonly string[] {
  return method === undefined ? REST_METHODS : ['OPTIONS', method]
}

function joinedCors(left: CorsOptions, right: CorsOptions): CorsOptions {
  const both = (name: 'allowOrigins' | 'allowMethods' | 'allowHeaders' | 'exposeHeaders') => {
    const [one, other] = [left[name], right[name]]
    return one === undefined ? other : [...new Set([...one, ...(other ?? [])])]
  }
  return {
    allowOrigins: both('allowOrigins'),
    allowMethods: both('allowMethods'),
    allowHeaders: both('allowHeaders'),
    exposeHeaders: both('exposeHeaders'),
    maxAge: right.maxAge ?? left.maxAge,
    allowCredentials: left.allowCredentials === true || right.allowCredentials === true,
  }
}

/** The order in which they are asked; preflight routes that another route stands for are gone. */
export function ordered(routes: readonly RouteRule[]): RouteRule[] {
  const written = routes.filter((rule) => !isPreflight(rule))
  const isTaken = (rule: RouteRule): boolean =>
    written.some(
      (other) =>
        other.pattern === rule.pattern || (isOfSameKind(rule, other) && takesAll(rule, other.matcher)),
    )
  const seen = new Set<string>()
  const preflights = routes.filter((rule) => {
    const isNew = isPreflight(rule) && !seen.has(rule.pattern) && !isTaken(rule)
    seen.add(rule.pattern)
    return isNew
  })
  return [...written, ...preflights].toSorted(byPriority)
}

function isPreflight({ options }: RouteRule): boolean {
  return (options as RouteOptions | undefined)?.preflight === true
}

/** A load balancer's rule for everything is no `$default` of an HTTP API. */
function isOfSameKind(left: RouteRule, right: RouteRule): boolean {
  const [one, other] = [left.options, right.options] as (RouteOptions | undefined)[]
  return one?.frontEnd === other?.frontEnd
}

function takesAll(rule: RouteRule, other: RouteRule['matcher']): boolean {
  const isForAll = rule.matcher.kind === 'template' && rule.matcher.segments === undefined
  return isForAll && other.kind === 'template' && other.segments === undefined && other.method === undefined
}

const WEIGHT = { literal: 0, parameter: 1, greedy: 2 } as const

/** API Gateway's priority, as an order: full matches, then parameters, then greedy ones, then `$default`; a method before ANY. */
function byPriority(left: RouteRule, right: RouteRule): number {
  if (left.matcher.kind !== 'template' || right.matcher.kind !== 'template') return 0
  const segments = compareSegments(left.matcher.segments, right.matcher.segments)
  if (segments !== 0) return segments
  return Number(left.matcher.method === undefined) - Number(right.matcher.method === undefined)
}

type Segments = readonly TemplateSegment[] | undefined

function compareSegments(left: Segments, right: Segments): number {
  if (left === undefined || right === undefined)
    return Number(left === undefined) - Number(right === undefined)
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const [one, other] = [left[index], right[index]]
    // A shorter path takes no longer one, so their order says nothing; only a stable one is needed.
    if (one === undefined || other === undefined) return right.length - left.length
    const difference = WEIGHT[one.kind] - WEIGHT[other.kind]
    if (difference !== 0) return difference
  }
  return 0
}
