import type { Place } from '../../../core/place.ts'
import { parseTemplate, type RouteRule, type TemplateSegment } from '../../../core/route.ts'
import type { RouteOptions } from '../front-ends/front-end.ts'

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

/** A route of API Gateway as the gateway matches it; what its event has to say goes along as options. */
export function apiRoute({ functionName, frontEnd, method, path, origin, options }: ApiRoute): RouteRule {
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

const WEIGHT = { literal: 0, parameter: 1, greedy: 2 } as const

/** API Gateway's priority, as an order: full matches, then parameters, then greedy ones, then `$default`; a method before ANY. */
export function byPriority(left: RouteRule, right: RouteRule): number {
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
