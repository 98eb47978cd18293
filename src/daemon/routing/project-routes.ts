import { openDestinations, type Bindings } from '../../app/routing.ts'
import type { FixedAnswer, FunctionConfig } from '../../core/function.ts'
import type { Logger } from '../../core/log.ts'
import type { RouteRule } from '../../core/route.ts'
import type { RouteTable } from '../../gateway/route-table.ts'
import type { Askable } from './alias-target.ts'

export interface RoutesHost {
  readonly log: Logger
  /** What the functions of one running daemon have in common (`FunctionScope.app`). */
  readonly app: object
  readonly closing: AbortSignal
}

/** What a version of a project's routes is bound to. */
export interface BoundTo {
  readonly version: string
  readonly rules: readonly RouteRule[]
  readonly noRoute: FixedAnswer | undefined
  readonly functions: ReadonlyMap<string, RoutedFunction>
}

export interface RoutedFunction {
  /** Undefined for one that is not there: what leads to it is answered so. */
  readonly config: FunctionConfig | undefined
  readonly target: Askable
}

interface Opened {
  readonly bindings: Bindings
  readonly functions: Map<string, { entry: Askable }>
}

/**
 * The routes of one project under one alias: its tables by version. What tables have in common (servers that are forwarded to, counts of
 * a rate limit) outlives the move from one version to the next.
 */
export class ProjectRoutes implements AsyncDisposable {
  readonly #host: RoutesHost
  readonly #tables = new Map<string, { readonly table: RouteTable; readonly rules: readonly RouteRule[] }>()
  /** Bound, and not in force yet. */
  readonly #pending = new Set<string>()
  #opened: Opened | undefined

  constructor(host: RoutesHost) {
    this.#host = host
  }

  table(version: string): RouteTable | undefined {
    return this.#tables.get(version)?.table
  }

  /** Opens whatever the rules lead to. Nothing changes for anybody yet. @throws FlexiError FLEXI_CONFIG. */
  async bind({ version, rules, noRoute, functions }: BoundTo): Promise<void> {
    const targets = new Map([...functions].map(([name, { target }]) => [name, { entry: target }] as const))
    this.#opened ??= this.#open(targets)
    for (const [name, entry] of targets) this.#opened.functions.set(name, entry)
    const { bindings } = this.#opened
    await bindings.prepare(rules)
    const configs = [...functions.values()].flatMap(({ config }) => (config === undefined ? [] : [config]))
    const table = await bindings.bind({ functions: configs, routes: rules })
    this.#pending.add(version)
    this.#tables.set(version, { table: noRoute === undefined ? table : { ...table, noRoute }, rules })
  }

  /** Whether something of it is not in force yet. */
  get pending(): boolean {
    return this.#pending.size > 0
  }

  /** Closes what only versions led to that are in force no more. */
  keep(versions: readonly string[]): void {
    for (const version of versions) this.#pending.delete(version)
    for (const version of this.#tables.keys())
      if (!versions.includes(version) && !this.#pending.has(version)) this.#tables.delete(version)
    this.#opened?.bindings.keep([...this.#tables.values()].flatMap(({ rules }) => rules))
  }

  /** One that does not come into force, or whose version is gone. */
  drop(version: string): void {
    this.#pending.delete(version)
    this.#tables.delete(version)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened?.bindings[Symbol.asyncDispose]()
  }

  #open(functions: Map<string, { entry: Askable }>): Opened {
    return { bindings: openDestinations(functions, this.#host), functions }
  }
}
