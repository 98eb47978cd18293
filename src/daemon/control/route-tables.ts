import { errorMessage } from '../../core/errors.ts'
import type { RouteRule } from '../../core/route.ts'
import type { FixedAnswer } from '../../core/function.ts'
import type { RouteTable } from '../../gateway/route-table.ts'
import type { AliasRecord, FunctionKey } from '../model.ts'
import { ProjectRoutes, type RoutedFunction, type RoutesHost } from '../routing/project-routes.ts'
import { versionsOf } from './keys.ts'

export interface TableToBind {
  readonly key: FunctionKey
  /** Under which it is reached; undefined for the version's own host. */
  readonly alias: string | undefined
  readonly rules: readonly RouteRule[]
  readonly noRoute: FixedAnswer | undefined
  readonly functions: ReadonlyMap<string, RoutedFunction>
}

/** The route tables of all projects, by alias and version. */
export class RouteTables implements AsyncDisposable {
  readonly #host: RoutesHost
  /** By name, then by alias, or by version where it is asked under its own host. */
  readonly #projects = new Map<string, Map<string, ProjectRoutes>>()
  readonly #closing = new Set<Promise<void>>()

  constructor(host: RoutesHost) {
    this.#host = host
  }

  table({ name, version }: FunctionKey, alias: string | undefined): RouteTable | undefined {
    return this.#projects
      .get(name)
      ?.get(alias ?? ownPlace(version))
      ?.table(version)
  }

  /** @throws FlexiError FLEXI_CONFIG for what its rules lead to. */
  async bind({ key, alias, rules, noRoute, functions }: TableToBind): Promise<void> {
    const aliases = this.#projects.get(key.name) ?? new Map<string, ProjectRoutes>()
    this.#projects.set(key.name, aliases)
    const place = alias ?? ownPlace(key.version)
    const routes = aliases.get(place) ?? new ProjectRoutes(this.#host)
    aliases.set(place, routes)
    await routes.bind({ version: key.version, rules, noRoute, functions })
  }

  /** Closes what no alias of these leads to any more. */
  keep(name: string, aliases: ReadonlyMap<string, AliasRecord>): void {
    const projects = this.#projects.get(name)
    for (const [alias, routes] of projects ?? []) {
      if (alias.startsWith('@')) continue
      const record = aliases.get(alias)
      if (record === undefined && !routes.pending) {
        projects?.delete(alias)
        this.#close(routes)
      } else routes.keep(record === undefined ? [] : versionsOf(record))
    }
  }

  /** A version that does not come into force, or is gone. */
  drop({ name, version }: FunctionKey): void {
    const projects = this.#projects.get(name)
    for (const routes of projects?.values() ?? []) routes.drop(version)
    const own = projects?.get(ownPlace(version))
    projects?.delete(ownPlace(version))
    if (own !== undefined) this.#close(own)
  }

  /** Nothing of this name is served any more. */
  remove(name: string): void {
    for (const routes of this.#projects.get(name)?.values() ?? []) this.#close(routes)
    this.#projects.delete(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#projects.keys()) this.remove(name)
    await Promise.all(this.#closing)
  }

  #close(routes: ProjectRoutes): void {
    const closing = routes[Symbol.asyncDispose]()
      .catch((error: unknown) => this.#host.log.error('routes.close', { message: errorMessage(error) }))
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}

/** No alias is called so. */
function ownPlace(version: string): string {
  return `@${version}`
}
