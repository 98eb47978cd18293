import { isDeepStrictEqual } from 'node:util'
import { resolve } from 'node:path'

import type { Emulator, FunctionConfig } from '../core/function.ts'
import type { AbsolutePath, Fault, Place } from '../core/place.ts'
import { NOWHERE, type RouteMatcher, type RouteRule, type RouteTarget } from '../core/route.ts'
import { closest } from '../core/suggest.ts'
import { parseOrigins, parseTarget, type OriginDraft, type ParsedTarget } from './proxy-target.ts'
import { fitSettings, type RouteSettings } from './route-settings.ts'
import { missingFiles } from './static-files.ts'

/** A route as its file says it, with a target that is still text. */
export interface RouteDraft {
  readonly matcher: RouteMatcher
  readonly pattern: string
  readonly to: string
  readonly origin: Place
  /** Where the target stands. */
  readonly targetPlace: Place
  /** The source line. */
  readonly text: string
  /** Upstreams that share the route, when each has a place or a setting of its own. */
  readonly origins?: readonly OriginDraft[] | undefined
  readonly settings?: RouteSettings | undefined
}

interface BindOptions {
  readonly directory: AbsolutePath
  readonly emulators: Readonly<Record<string, Emulator>>
  /** What has a name already. */
  readonly functions: readonly FunctionConfig[]
  /** True for a name that a file with faults may mean to define: a route to it is no second fault. */
  mayDefine(name: string): boolean
}

export interface BoundRoutes {
  readonly routes: readonly RouteRule[]
  /** Those given and those the targets add: one for each piece of code, however many routes lead to it. */
  readonly functions: readonly FunctionConfig[]
  readonly faults: readonly Fault[]
}

/** Turns the targets of proxy.ini and flexi.jsonc into functions, upstreams and folders. */
export async function bindRoutes(drafts: readonly RouteDraft[], options: BindOptions): Promise<BoundRoutes> {
  const { directory, emulators } = options
  const names = new Set(options.functions.map(({ name }) => name))
  const readings = await Promise.all(
    drafts.map(async (draft) => {
      if (draft.to === '') return { draft, target: NOTHING, faults: [] }
      if (draft.origins !== undefined) return { draft, ...parseOrigins(draft.origins) }
      const at = { place: draft.targetPlace, text: draft.text }
      const { target, faults } = await parseTarget(draft.to, { directory, emulators, names, at })
      return { draft, target, faults: [...faults, ...(await missingFiles(target, draft.settings?.files))] }
    }),
  )
  const functions = [...options.functions]
  for (const { draft, target } of readings)
    if (target?.kind === 'code') addFunction(functions, functionOf(target, draft, directory))
  const routes: RouteRule[] = []
  const faults: Fault[] = []
  for (const { draft, target, faults: wrong } of readings) {
    faults.push(...wrong)
    if (target === undefined) continue
    const bound = bindTarget(target, functions, directory)
    if (bound !== undefined) addRule({ routes, faults }, draft, bound)
    else if (!options.mayDefine(nameIn(draft.to))) faults.push(unknownFunction(draft, functions))
  }
  return { routes, functions, faults }
}

/** FlexiLib takes an entry without a target and fails each of its requests. So does this: nothing ever listens on port 0. */
const NOTHING: ParsedTarget = { kind: 'upstream', origins: [{ url: NOWHERE }] }

type Code = Extract<ParsedTarget, { kind: 'code' }>

function functionOf(code: Code, draft: RouteDraft, directory: AbsolutePath): FunctionConfig {
  const { name, provider, options } = code
  return { name, provider, directory, origin: draft.targetPlace, environment: {}, options }
}

function addFunction(functions: FunctionConfig[], config: FunctionConfig): void {
  if (functions.some((known) => runsCode(known, config))) return
  const taken = new Set(functions.map(({ name }) => name))
  let name = config.name
  for (let number = 2; taken.has(name); number++) name = `${config.name}-${number}`
  functions.push({ ...config, name })
}

/** The same file, however its path is written, is the same function: two routes may share a library. */
function runsCode(
  known: FunctionConfig,
  code: Pick<FunctionConfig, 'provider' | 'options' | 'directory'>,
): boolean {
  if (known.provider !== code.provider) return false
  const same = (left: unknown, right: unknown): boolean =>
    typeof left === 'string' && typeof right === 'string'
      ? resolve(known.directory, left) === resolve(code.directory, right)
      : isDeepStrictEqual(left, right)
  return Object.entries(code.options).every(([key, value]) => same(known.options[key], value))
}

function bindTarget(
  target: ParsedTarget,
  functions: readonly FunctionConfig[],
  directory: AbsolutePath,
): RouteTarget | undefined {
  if (target.kind !== 'code' && target.kind !== 'name') return target
  const config =
    target.kind === 'name'
      ? functions.find(({ name }) => name === target.name)
      : functions.find((known) => runsCode(known, { ...target, directory }))
  return config === undefined ? undefined : { kind: 'function', name: config.name }
}

function addRule(
  { routes, faults }: { readonly routes: RouteRule[]; readonly faults: Fault[] },
  { matcher, pattern, origin, settings = {} }: RouteDraft,
  target: RouteTarget,
): void {
  const fitted = fitSettings(target, settings)
  const { protection } = settings
  faults.push(...fitted.faults)
  const rule = { matcher, target: fitted.target, pattern, origin }
  routes.push(protection === undefined ? rule : { ...rule, protection })
}

/** `hello@live` → `hello` */
function nameIn(target: string): string {
  return target.split('@', 1)[0] ?? target
}

function unknownFunction(draft: RouteDraft, functions: readonly FunctionConfig[]): Fault {
  const name = nameIn(draft.to)
  const names = functions.map((config) => config.name)
  const near = closest(name, names)
  const fault = { place: draft.targetPlace, text: draft.text, message: `there is no function "${name}"` }
  if (near !== undefined) return { ...fault, hint: `Did you mean "${near}"?` }
  if (names.length > 0)
    return { ...fault, hint: `Name one of ${names.join(', ')}; a file or folder starts with "./".` }
  return { ...fault, hint: 'Define it in flexi.jsonc; a file or folder starts with "./".' }
}
