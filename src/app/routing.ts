import { relative } from 'node:path'

import type { FunctionSummary, RouteSummary } from '../core/events.ts'
import type { Fetcher } from '../core/fetcher.ts'
import type { FunctionConfig } from '../core/function.ts'
import type { Logger } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import type { Project } from '../core/project.ts'
import type { OriginState } from '../core/upstream.ts'
import { describeTarget, type RouteRule } from '../core/route.ts'
import type { RouteTable } from '../gateway/route-table.ts'
import { Destinations } from './destinations.ts'
import { openGuards, type Pools } from './guards.ts'
import { openProtections } from './protections.ts'

/** What routes are bound to, and what is put before it. */
export interface Bindings extends AsyncDisposable {
  /** Opens what new rules lead to, so that whatever is wrong with it is known before anything changes. @throws FlexiError FLEXI_CONFIG. */
  prepare(rules: readonly RouteRule[]): Promise<void>
  bind(project: Pick<Project, 'functions' | 'routes'>): Promise<RouteTable>
  /** For metrics: how every server is that a route forwards to. */
  origins(): readonly OriginState[]
  /** Closes what the table now in force no longer names. */
  keep(rules: readonly RouteRule[]): void
}

export function openDestinations(
  functions: Pools,
  { log, app, closing }: { readonly log: Logger; readonly app: object; readonly closing: AbortSignal },
): Bindings {
  const destinations = new Destinations(log)
  const protections = openProtections()
  return {
    async prepare(rules) {
      const own = rules.filter(({ target }) => target.kind !== 'function')
      await Promise.all(own.map((rule) => destinations.fetcher(rule)))
    },
    async bind(project) {
      const guards = openGuards({ configs: project.functions, functions, log, app, closing })
      const fetcher = async (rule: RouteRule): Promise<Fetcher> => {
        const { target, options } = rule
        const isFunction = target.kind === 'function'
        const bound = isFunction ? guards.fetcher(target.name, options) : destinations.fetcher(rule)
        return protections.protect(rule, await bound)
      }
      return {
        routes: await Promise.all(
          project.routes.map(async (rule) => ({ rule, fetcher: await fetcher(rule) })),
        ),
        functions: await guards.ownAddresses(),
        noRoute: guards.noRoute(project.routes),
      }
    },
    origins: () => destinations.states(),
    keep(rules) {
      destinations.keep(rules)
      protections.keep(rules)
    },
    [Symbol.asyncDispose]: () => destinations[Symbol.asyncDispose](),
  }
}

/** As a configuration file would write it: `./`, `./public/`, `../site/`. */
function folderName(path: string): string {
  if (path === '') return './'
  return /^(\.\.([/\\]|$)|[/\\]|[A-Za-z]:)/.test(path) ? `${path}/` : `./${path}/`
}

/** `base` is where their own addresses begin. What a `:` sets apart (a version) is not listed. */
export function summariseFunctions(
  functions: readonly FunctionConfig[],
  base: { readonly url: string; readonly control: string | undefined },
): FunctionSummary[] {
  const listed = functions.filter(({ name }) => !name.includes(':'))
  return listed.map(({ name, provider, port }) => ({
    name,
    provider,
    ...(port === undefined ? {} : { port }),
    url: base.control === undefined ? `${base.url}/` : `${base.control}/f/${name}/`,
  }))
}

export function summariseRoutes(rules: readonly RouteRule[], directory: AbsolutePath): RouteSummary[] {
  return rules.map((rule) => ({
    pattern: rule.pattern,
    target: describeTarget(rule.target, (path) => folderName(relative(directory, path))),
  }))
}
