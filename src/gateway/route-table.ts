import type { Fetcher, RawRequest } from '../core/fetcher.ts'
import type { FixedAnswer } from '../core/function.ts'
import { CASELESS_FIELDS, type RouteMatcher, type RouteRule } from '../core/route.ts'
import { fieldValue, originForm, pathOf } from '../forward/request-line.ts'
import { hostName } from './hosts.ts'
import { matchTemplate, type TemplateMatch } from './template.ts'

/** A rule and what answers it. */
export interface BoundRoute {
  readonly rule: RouteRule
  readonly fetcher: Fetcher
}

/** Everything the gateway routes by. Replaced whole, never changed: a request keeps the table it came in under. */
export interface RouteTable {
  /** In file order. */
  readonly routes: readonly BoundRoute[]
  /** Every function by its name, for `NAME.localhost` and `/_flexi/f/NAME/`. */
  readonly functions: ReadonlyMap<string, Fetcher>
  /** How the provider whose API all these routes are answers what none of them takes; default 404. */
  readonly noRoute?: FixedAnswer | undefined
}

export interface RouteMatch {
  readonly route: BoundRoute
  /** Undecoded values of the template's parameters. */
  readonly parameters: Readonly<Record<string, string>>
}

const NO_PARAMETERS: Readonly<Record<string, string>> = Object.freeze({})

/**
 * The first rule that matches, in file order. Consecutive `template` rules are one API: among them the most specific wins,
 * as in API Gateway (full path, then parameters, then `{proxy+}`, then `$default`; a method before ANY).
 */
export function matchRoute(table: RouteTable, raw: RawRequest): RouteMatch | undefined {
  const { routes } = table
  for (let i = 0; i < routes.length; i++) {
    const route = routes[i]
    if (route === undefined) continue
    if (route.rule.matcher.kind === 'template') {
      const end = endOfTemplates(routes, i)
      const match = bestTemplate(routes.slice(i, end), raw)
      if (match !== undefined) return match
      i = end - 1
    } else if (matches(route.rule.matcher, raw)) {
      return { route, parameters: NO_PARAMETERS }
    }
  }
  return undefined
}

function endOfTemplates(routes: readonly BoundRoute[], start: number): number {
  let end = start
  while (routes[end]?.rule.matcher.kind === 'template') end++
  return end
}

function bestTemplate(routes: readonly BoundRoute[], raw: RawRequest): RouteMatch | undefined {
  const segments = pathSegments(raw.target)
  let best: { route: BoundRoute; match: TemplateMatch } | undefined
  for (const route of routes) {
    const { matcher } = route.rule
    const match = matcher.kind === 'template' ? matchTemplate(matcher, raw.method, segments) : undefined
    if (match !== undefined && (best === undefined || match.rank < best.match.rank)) best = { route, match }
  }
  return best === undefined ? undefined : { route: best.route, parameters: best.match.parameters }
}

/** `/users/1/?x=2` → [users, 1]. Undecoded; slashes at both ends do not count, and API Gateway takes several at the start for one. */
function pathSegments(target: string): readonly string[] {
  const path = pathOf(target)
  let start = 0
  while (path[start] === '/') start += 1
  const end = path.endsWith('/') ? path.length - 1 : path.length
  return start >= end ? [] : path.slice(start, end).split('/')
}

function matches(matcher: Exclude<RouteMatcher, { kind: 'template' }>, raw: RawRequest): boolean {
  switch (matcher.kind) {
    case 'prefix':
      return raw.target.startsWith(matcher.prefix)
    case 'field':
      return (
        matcher.pathPrefix !== undefined &&
        raw.target.startsWith(matcher.pathPrefix) &&
        startsField(raw, matcher.name, matcher.valuePrefix)
      )
    case 'path':
      return (
        isBelow(matcher.path, raw.target) && (matcher.field === undefined || hasField(raw, matcher.field))
      )
    case 'host':
      return isAtHost(matcher, raw)
  }
}

/** Only the first field of the name counts. */
function startsField(raw: RawRequest, name: string, valuePrefix: string): boolean {
  return fieldValue(raw.fields, name)?.startsWith(valuePrefix) === true
}

function hasField(raw: RawRequest, { name, valuePrefix }: { name: string; valuePrefix: string }): boolean {
  if (!CASELESS_FIELDS.has(name)) return startsField(raw, name, valuePrefix)
  return fieldValue(raw.fields, name)?.toLowerCase().startsWith(valuePrefix) === true
}

function isAtHost(
  { host, isSuffix, path, isPrefix }: Extract<RouteMatcher, { kind: 'host' }>,
  { target, fields }: RawRequest,
): boolean {
  const own = target.charCodeAt(0) === SLASH ? target : originForm(target)
  if (isPrefix ? !own.startsWith(path) : own !== path) return false
  const name = hostName(fieldValue(fields, 'host') ?? '')
  return isSuffix ? name.endsWith(host) : name === host
}

/** `/api` and `/api/` take `/api`, `/api?x` and `/api/x`, not `/apix`. */
function isBelow(path: string, target: string): boolean {
  const own = target.charCodeAt(0) === SLASH ? target : originForm(target)
  const length = path.endsWith('/') ? path.length - 1 : path.length
  if (own.charCodeAt(0) !== SLASH || !own.startsWith(path.slice(0, length))) return false
  const next = own.charCodeAt(length)
  return Number.isNaN(next) || next === SLASH || next === QUESTION_MARK
}

const SLASH = 47
const QUESTION_MARK = 63
