import { stat } from 'node:fs/promises'
import { relative } from 'node:path'

import { configError, FlexiError } from '../core/errors.ts'
import type { FunctionConfig } from '../core/function.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import type { Project } from '../core/project.ts'
import type { RouteRule } from '../core/route.ts'
import { bindRoutes } from './bind-routes.ts'
import { exposures } from './exposures.ts'
import { readEnvFile, readEnvFiles, withFlagEnvironment } from './env-file.ts'
import { mergeFunctions, repeatedNames } from './merge-functions.ts'
import { neverReached } from './never-reached.ts'
import { readSources, type ReadProjectOptions } from './sources.ts'

export type { ReadProjectOptions }

/**
 * Reads all that a directory says it wants served, in one frozen whole: flexi.jsonc, proxy.ini and the providers' own files.
 * Routes come in the order proxy.ini, flexi.jsonc, providers, the functions' own. One function without any route is served at `/`.
 * @throws FlexiError FLEXI_CONFIG with the faults of all files; FLEXI_NO_INPUT when there is nothing to serve.
 */
export async function readProject(options: ReadProjectOptions): Promise<Project> {
  const { directory, emulators } = options
  await requireDirectory(directory)
  const flag = options.envFile === undefined ? undefined : await readEnvFile(options.envFile)
  const sources = await readSources({ ...options, environment: { ...options.environment, ...flag } })
  const declared = await readEnvFiles(sources.flexi.functions, directory)
  const merged = mergeFunctions(declared.functions, sources.detections, directory)
  const drafts = [...sources.proxyIni, ...sources.flexi.routes]
  const { functions } = merged
  const mayDefine = (name: string): boolean => sources.mayDefine(name)
  const bound = await bindRoutes(drafts, { directory, emulators, functions, mayDefine })
  const exposed = await exposures(bound.functions, emulators)
  const faults = [
    ...sources.faults,
    ...exposed.faults,
    ...declared.faults,
    ...repeatedNames(functions),
    ...bound.faults,
    ...neverReached(drafts),
  ].toSorted(byPlace)
  const errors = faults.filter(({ severity }) => severity !== 'warning')
  if (errors.length > 0) throw configError(errors)
  const routes = [...bound.routes, ...merged.routes]
  const last = routes.length > 0 ? exposed.routes : [...exposed.routes, ...rootRoute(exposed.functions)]
  if (bound.functions.length + routes.length === 0 && options.mayBeEmpty !== true)
    throw nothingToServe(options, sources.files)
  return freeze({
    directory,
    functions: withFlagEnvironment(withTimeout(exposed.functions, options), {
      ...inherited(options),
      ...flag,
    }),
    routes: [...routes, ...last],
    files: unique([options.envFile ?? [], sources.files, declared.files, exposed.files].flat()),
    faults,
    server: sources.flexi.server,
    resources: sources.resources,
  })
}

function withTimeout(
  functions: readonly FunctionConfig[],
  { timeoutMs }: ReadProjectOptions,
): readonly FunctionConfig[] {
  if (timeoutMs === undefined) return functions
  return functions.map((config) => ({ ...config, timeoutMs: config.timeoutMs ?? timeoutMs }))
}

/** Libraries of FlexiLib run inside its process: they see every variable it was started with. */
function inherited({ only, environment }: ReadProjectOptions): Readonly<Record<string, string>> {
  if (only === undefined) return {}
  const set = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Object.fromEntries(set)
}

function byPlace({ place: left }: Fault, { place: right }: Fault): number {
  if (left.file !== right.file) return left.file < right.file ? -1 : 1
  return left.line - right.line || left.column - right.column
}

async function requireDirectory(directory: AbsolutePath): Promise<void> {
  const found = await stat(directory).catch(() => undefined)
  if (found?.isDirectory() === true) return
  if (found === undefined)
    throw new FlexiError('FLEXI_NO_INPUT', `there is no folder ${directory}`, {
      hint: 'Name a folder that exists.',
    })
  throw new FlexiError('FLEXI_NO_INPUT', `${directory} is a file`, { hint: 'Name the folder it is in.' })
}

function nothingToServe({ directory, only }: ReadProjectOptions, files: readonly string[]): FlexiError {
  if (files.length > 0) {
    const names = files.map((file) => relative(directory, file)).join(', ')
    return new FlexiError(
      'FLEXI_NO_INPUT',
      `nothing to serve in ${directory}: no route or function in ${names}`,
      {
        hint: 'Add a route or a function.',
      },
    )
  }
  if (only !== undefined)
    return new FlexiError('FLEXI_NO_INPUT', `there is no ${only} in ${directory}`, {
      hint: 'Write one, for example with the line "/ = http://127.0.0.1:3000".',
    })
  const looked =
    'flexi.jsonc, flexi.json, proxy.ini, wrangler.jsonc|json|toml, template.yaml|yml, serverless.yml, cdk.out and a Terraform plan.json'
  return new FlexiError('FLEXI_NO_INPUT', `nothing to serve in ${directory}: looked for ${looked}`, {
    hint: 'Start a project with "flexi new", name the folder of one, or begin empty with "flexi dev --empty".',
  })
}

/** Several functions have addresses of their own; which of them is the root is for the routes to say. */
function rootRoute(functions: readonly FunctionConfig[]): readonly RouteRule[] {
  const [only, ...others] = functions
  if (only === undefined || others.length > 0) return []
  const target = { kind: 'function', name: only.name } as const
  return [{ matcher: { kind: 'path', path: '/' }, target, pattern: '/', origin: only.origin }]
}

function unique(files: readonly AbsolutePath[]): readonly AbsolutePath[] {
  return [...new Set(files)]
}

function freeze(project: Project): Project {
  for (const part of Object.values(project)) if (typeof part === 'object') Object.freeze(part)
  for (const part of [...project.functions, ...project.routes]) Object.freeze(part)
  return Object.freeze(project)
}
