import { relative } from 'node:path'

import type { RouteSummary } from '../core/events.ts'
import type { Fetcher, SocketFetcher } from '../core/fetcher.ts'
import type { AbsolutePath } from '../core/place.ts'
import { describeTarget, type RouteMatcher, type RouteRule, type RouteTarget } from '../core/route.ts'
import type { RouteTable } from '../gateway/route-table.ts'

/** What a route can lead to, besides functions: opened once and shared by every table that names it. */
export interface Destinations extends AsyncDisposable {
  fetcher(rule: RouteRule): Promise<Fetcher>
  /** Closes what the table now in force no longer names. */
  keep(rules: readonly RouteRule[]): Promise<void>
}

type Closable = SocketFetcher & Partial<AsyncDisposable>

export function openDestinations(functions: ReadonlyMap<string, { readonly pool: Fetcher }>): Destinations {
  const opened = new Map<string, Closable>()
  const close = async (keys: Iterable<string>): Promise<void> => {
    const gone = [...keys].map((key) => opened.get(key))
    for (const key of keys) opened.delete(key)
    await Promise.all(gone.map(async (fetcher) => fetcher?.[Symbol.asyncDispose]?.()))
  }
  return {
    async fetcher(rule) {
      if (rule.target.kind === 'function') {
        const pool = functions.get(rule.target.name)?.pool
        if (pool === undefined)
          throw new Error(`route ${rule.pattern} names ${rule.target.name}, which is not open`)
        return pool
      }
      const key = destinationKey(rule)
      const fetcher = opened.get(key) ?? (await openDestination(rule.target, matchedPrefix(rule.matcher)))
      opened.set(key, fetcher)
      return fetcher
    },
    async keep(rules) {
      const wanted = new Set(rules.map(destinationKey))
      await close([...opened.keys()].filter((key) => !wanted.has(key)))
    },
    [Symbol.asyncDispose]: () => close([...opened.keys()]),
  }
}

function destinationKey(rule: RouteRule): string {
  return rule.target.kind === 'static'
    ? JSON.stringify([rule.target, matchedPrefix(rule.matcher)])
    : JSON.stringify(rule.target)
}

async function openDestination(
  target: Exclude<RouteTarget, { kind: 'function' }>,
  stripPrefix: string,
): Promise<Closable> {
  if (target.kind === 'static') {
    const { staticFolder } = await import('../gateway/static-folder.ts')
    return staticFolder(target.directory, { stripPrefix })
  }
  const { openUpstream } = await import('../gateway/upstream.ts')
  return openUpstream(target.origins.map(({ url }) => url))
}

/** The part of the path that a folder's files do not have in their names: `/assets/ = ./public/` serves `/assets/a.css` from `public/a.css`. */
function matchedPrefix(matcher: RouteMatcher): string {
  switch (matcher.kind) {
    case 'prefix':
      return matcher.prefix
    case 'path':
      return matcher.path
    case 'field':
      return matcher.pathPrefix ?? '/'
    case 'template':
      return '/'
  }
}

/** Binds every rule of a project to what answers it. */
export async function bindRoutes(
  rules: readonly RouteRule[],
  functions: ReadonlyMap<string, { readonly pool: Fetcher }>,
  destinations: Destinations,
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
