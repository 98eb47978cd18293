import { cp, mkdir, rm } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'

import { configError, FlexiError } from '../core/errors.ts'
import type { DevEvent } from '../core/events.ts'
import type { DeploySettings, FunctionConfig, PackagedFile } from '../core/function.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import type { Project } from '../core/project.ts'
import type { RouteRule } from '../core/route.ts'
import { closest } from '../core/suggest.ts'
import { readProject } from '../config/project.ts'
import { emulators } from '../emulators/registry.ts'
import { openSource, type OneShotOptions } from './one-shot.ts'

export interface ShipOptions extends OneShotOptions {
  /** Emptied, and written into: a folder for each function, and one for the routes. */
  readonly outDirectory: AbsolutePath
  /** Of the project; default: the folder's name as a host label. */
  readonly project?: string | undefined
  /** Only these, and no routes. */
  readonly functions?: readonly string[] | undefined
  readonly onEvent?: ((event: DevEvent) => void) | undefined
}

/** One function as it is deployed: a folder, and what opens it again. */
interface ShippedFunction {
  /** A host label: `my_Fn` is `my-fn`. */
  readonly name: string
  readonly provider: string
  readonly directory: AbsolutePath
  readonly files: readonly PackagedFile[]
  readonly options: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number | undefined
  readonly memoryMb: number | undefined
  readonly deploy: DeploySettings | undefined
}

export interface ShippedProject {
  readonly name: string
  readonly functions: readonly ShippedFunction[]
  /** Undefined where the only route is the one function at `/`. Paths of static folders are relative to `directory`. */
  readonly routes: { readonly directory: AbsolutePath; readonly rules: readonly RouteRule[] } | undefined
}

/**
 * Builds what a deployment uploads of a project.
 * @throws FlexiError FLEXI_BUILD; FLEXI_CONFIG for what cannot be deployed, each with its place; FLEXI_FUNCTION_UNKNOWN.
 */
export async function shipProject(options: ShipOptions): Promise<ShippedProject> {
  const project = await readProject({ ...options, emulators })
  const chosen = choose(project.functions, options.functions)
  requireLabels(chosen)
  const name = options.project ?? hostLabel(basename(options.directory))
  if (!isHostLabel(name))
    throw new FlexiError('FLEXI_USAGE', `${JSON.stringify(name)} cannot name a project`, {
      hint: 'Name it with --project: lower-case letters, digits and hyphens, 63 at most.',
    })
  await rm(options.outDirectory, { recursive: true, force: true })
  const functions: ShippedFunction[] = []
  for (const config of chosen) functions.push(await shipFunction(config, options))
  const routes = options.functions === undefined ? await shipRoutes(project, options.outDirectory) : undefined
  return { name, functions, routes }
}

/** `My_Shop` → `my-shop`; what is left of it may be empty. */
function hostLabel(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, LABEL_MAX)
    .replace(/^-+|-+$/g, '')
}

/** RFC 1123 section 2.1 */
function isHostLabel(name: string): boolean {
  return name.length <= LABEL_MAX && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)
}

const LABEL_MAX = 63

function choose(
  functions: readonly FunctionConfig[],
  names: readonly string[] | undefined,
): readonly FunctionConfig[] {
  if (names === undefined) return functions
  return names.map((name) => {
    const found = functions.find((config) => config.name === name || hostLabel(config.name) === name)
    if (found !== undefined) return found
    const all = functions.map((config) => config.name)
    const near = closest(name, all)
    throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no function is called ${name}`, {
      hint: near === undefined ? `This project has: ${all.join(', ')}.` : `Did you mean ${near}?`,
    })
  })
}

/** A function's name is part of its host name. @throws FlexiError FLEXI_CONFIG. */
function requireLabels(functions: readonly FunctionConfig[]): void {
  const seen = new Map<string, string>()
  const faults = functions.flatMap(({ name, origin }): Fault[] => {
    const label = hostLabel(name)
    const other = seen.get(label)
    seen.set(label, name)
    if (other === undefined && isHostLabel(label)) return []
    const message =
      other === undefined ? `${name} cannot be a host name` : `${name} and ${other} would both be ${label}`
    return [{ place: origin, message, hint: 'Give it another name: it is deployed as NAME.DOMAIN.' }]
  })
  if (faults.length > 0) throw configError(faults)
}

async function shipFunction(config: FunctionConfig, options: ShipOptions): Promise<ShippedFunction> {
  const name = hostLabel(config.name)
  const directory = join(options.outDirectory, name) as AbsolutePath
  await mkdir(directory, { recursive: true })
  await using source = await openSource(config, { ...options, app: {} }, options.onEvent)
  const files = await source.package(directory, { complete: true })
  const shipped = source.shipped?.()
  if (shipped === undefined)
    throw new FlexiError('FLEXI_USAGE', `functions of ${config.provider} cannot be deployed yet`)
  const { provider, environment, timeoutMs, memoryMb, deploy } = config
  return { name, provider, directory, files, options: shipped, environment, timeoutMs, memoryMb, deploy }
}

/** The route table, and the folders it serves files from. */
async function shipRoutes(project: Project, outDirectory: AbsolutePath): Promise<ShippedProject['routes']> {
  if (isRootAlone(project)) return undefined
  const directory = join(outDirectory, ROUTES_FOLDER) as AbsolutePath
  await mkdir(directory, { recursive: true })
  const copied = new Map<string, string>()
  for (const { target } of project.routes) {
    if (target.kind !== 'static' || copied.has(target.directory)) continue
    const folder = `static-${copied.size}`
    copied.set(target.directory, folder)
    await cp(target.directory, join(directory, folder), { recursive: true })
  }
  return { directory, rules: project.routes.map((rule) => portable(rule, project.directory, copied)) }
}

/** No host label has a dot. */
const ROUTES_FOLDER = '.routes'

function isRootAlone({ functions, routes }: Project): boolean {
  const [only] = routes
  if (functions.length !== 1 || routes.length !== 1 || only?.target.kind !== 'function') return false
  return only.pattern === '/' && only.options === undefined
}

function portable(rule: RouteRule, directory: AbsolutePath, copied: ReadonlyMap<string, string>): RouteRule {
  const { target, origin } = rule
  const place = { ...origin, file: relative(directory, origin.file) }
  if (target.kind === 'function')
    return { ...rule, origin: place, target: { ...target, name: hostLabel(target.name) } }
  if (target.kind === 'static')
    return {
      ...rule,
      origin: place,
      target: { ...target, directory: copied.get(target.directory) as AbsolutePath },
    }
  return { ...rule, origin: place }
}
