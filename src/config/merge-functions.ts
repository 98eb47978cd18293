import { resolve } from 'node:path'

import type { Detection, FunctionConfig } from '../core/function.ts'
import type { AbsolutePath, Fault, Place } from '../core/place.ts'
import type { RouteRule } from '../core/route.ts'

export interface MergedFunctions {
  readonly functions: readonly FunctionConfig[]
  /** The providers' own routes. */
  readonly routes: readonly RouteRule[]
}

/**
 * Puts together what flexi.jsonc declares and what the providers detect. flexi.jsonc wins: by name, and when one of its functions
 * names the very file (`"config": "wrangler.jsonc"`) that a provider found by itself, which would serve the same code twice.
 * One that names no code of its own changes what was detected: its variables and settings count more.
 */
export function mergeFunctions(
  declared: readonly FunctionConfig[],
  detections: readonly Detection[],
  directory: AbsolutePath,
): MergedFunctions {
  const renamed = new Map<string, string>()
  const detected = detections
    .flatMap(({ functions }) => functions)
    .filter((config) => {
      const winner = declared.find(
        (known) => known.name === config.name || namesFile(known, config, directory),
      )
      if (winner !== undefined) renamed.set(config.name, winner.name)
      return winner === undefined
    })
  const all = detections.flatMap(({ functions }) => functions)
  const own = declared.map((config) => changed(config, all) ?? config)
  const routes = detections.flatMap((detection) => detection.routes).map((rule) => retarget(rule, renamed))
  return { functions: [...own, ...detected], routes }
}

/** What was detected, with what flexi.jsonc says of it; undefined when that is a function by itself. */
function changed(declared: FunctionConfig, detected: readonly FunctionConfig[]): FunctionConfig | undefined {
  const of = detected.find(({ name, provider }) => name === declared.name && provider === declared.provider)
  if (of?.options['handler'] === undefined || CODE.some((key) => declared.options[key] !== undefined))
    return undefined
  return {
    ...of,
    origin: declared.origin,
    placeOf: declared.placeOf ?? of.placeOf,
    environment: { ...of.environment, ...declared.environment },
    timeoutMs: declared.timeoutMs ?? of.timeoutMs,
    memoryMb: declared.memoryMb ?? of.memoryMb,
    deploy: declared.deploy ?? of.deploy,
    options: { ...of.options, ...declared.options },
  }
}

/** Who says one of these says what runs. */
const CODE = ['handler', 'runtime', 'archive'] as const

function namesFile(declared: FunctionConfig, detected: FunctionConfig, directory: AbsolutePath): boolean {
  if (declared.provider !== detected.provider) return false
  const file = resolve(directory, detected.origin.file)
  return Object.values(declared.options).some(
    (value) => typeof value === 'string' && resolve(declared.directory, value) === file,
  )
}

function retarget(rule: RouteRule, renamed: ReadonlyMap<string, string>): RouteRule {
  if (rule.target.kind !== 'function') return rule
  const name = renamed.get(rule.target.name) ?? rule.target.name
  return { ...rule, target: { kind: 'function', name } }
}

/** Two functions of one name would share one address. */
export function repeatedNames(functions: readonly FunctionConfig[]): Fault[] {
  const first = new Map<string, Place>()
  return functions.flatMap(({ name, origin }) => {
    const known = first.get(name)
    first.set(name, known ?? origin)
    if (known === undefined) return []
    const message = `the function "${name}" is already defined at ${known.file}:${known.line}:${known.column}`
    return [{ place: origin, message, hint: 'Rename one of the two.' }]
  })
}
