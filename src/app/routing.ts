import { relative } from 'node:path'

import type { RouteSummary } from '../core/events.ts'
import type { Fetcher } from '../core/fetcher.ts'
import type { Logger } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { OriginState } from '../core/upstream.ts'
import { describeTarget, type RouteRule } from '../core/route.ts'
import type { RouteTable } from '../gateway/route-table.ts'
import { Destinations } from './destinations.ts'
import { openProtections } from './protections.ts'

type Pools = ReadonlyMap<string, { readonly pool: Fetcher }>

/** What routes are bound to, and what is put before it. */
export interface Bindings extends AsyncDisposable {
  /** Opens what new rules lead to, so that whatever is wrong with it is known before anything changes. @throws FlexiError FLEXI_CONFIG. */
  prepare(rules: readonly RouteRule[]): Promise<void>
  fetcher(rule: RouteRule): Promise<Fetcher>
  /** For metrics: how every server is that a route forwards to. */
  origins(): readonly OriginState[]
  /** Closes what the table now in force no longer names. */
  keep(rules: readonly RouteRule[]): void
}

export function openDestinations(functions: Pools, log: Logger): Bindings {
  const destinations = new Destinations(log)
  const protections = openProtections()
  return {
    async prepare(rules) {
      const own = rules.filter(({ target }) => target.kind !== 'function')
      await Promise.all(own.map((rule) => destinations.fetcher(rule)))
    },
    async fetcher(rule) {
      const isFunction = rule.target.kind === 'function'
      const fetcher = isFunction ? poolOf(rule, functions) : await destinations.fetcher(rule)
      return protections.protect(rule, fetcher)
    },
    origins: () => destinations.states(),
    keep(rules) {
      destinations.keep(rules)
      protections.keep(rules)
    },
    [Symbol.asyncDispose]: () => destinations[Symbol.asyncDispose](),
  }
}

function poolOf({ pattern, target }: RouteRule, functions: Pools): Fetcher {
  const name = target.kind === 'function' ? target.name : ''
  const pool = functions.get(name)?.pool
  if (pool === undefined) throw new Error(`route ${pattern} names ${name}, which is not open`)
  return pool
}

/** Binds every rule of a project to what answers it. */
export async function bindRoutes(
  rules: readonly RouteRule[],
  functions: Pools,
  destinations: Bindings,
): Promise<RouteTable> {
  const routes = await Promise.all(
    rules.map(async (rule) => ({ rule, fetcher: await destinations.fetcher(rule) })),
  )
  return { routes, functions: new Map([...functions].map(([name, { pool }]) => [name, pool])) }
}

export function summariseRoutes(rules: readonly RouteRule[], directory: AbsolutePath): RouteSummary[] {
  return rules.map((rule) => ({
    pattern: rule.pattern,
    target: describeTarget(rule.target, (path) => `./${relative(directory, path)}/`),
  }))
}
