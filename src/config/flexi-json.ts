import { findNodeAtLocation, getNodeValue, parseTree, type ParseError } from 'jsonc-parser'

import type { FunctionConfig } from '../core/function.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import type { ServerSettings } from '../core/project.ts'
import type { RouteMatcher } from '../core/route.ts'
import { closest } from '../core/suggest.ts'
import type { RouteDraft } from './bind-routes.ts'
import {
  locate,
  repeatedKeys,
  syntaxFaults,
  validate,
  type FaultPlace,
  type FlexiSource,
} from './flexi-faults.ts'
import type { FunctionDocument, RouteDocument } from './flexi-schema.ts'

export interface FlexiJsonOptions {
  /** As messages show it. */
  readonly file: string
  /** Where relative paths start. */
  readonly directory: AbsolutePath
  readonly providers: readonly string[]
}

export interface DeclaredFunction {
  readonly config: FunctionConfig
  /** What `env_file` names, as written, and where it is written. */
  readonly envFile: { readonly path: string; readonly at: FaultPlace } | undefined
}

export interface ParsedFlexiJson {
  readonly functions: readonly DeclaredFunction[]
  readonly routes: readonly RouteDraft[]
  readonly server: ServerSettings
  readonly faults: readonly Fault[]
  /** True for a name the file would define if its faults were mended: a route to it is no second fault. */
  mayDefine(name: string): boolean
}

/**
 * Reads flexi.jsonc: JSON with comments and trailing commas, as flexi.schema.json describes it.
 * Never throws; everything wrong is in `faults`, and the functions and routes without a fault are kept.
 */
export async function parseFlexiJson(text: string, options: FlexiJsonOptions): Promise<ParsedFlexiJson> {
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true })
  if (root === undefined || errors.length > 0) {
    const faults = syntaxFaults(options.file, text, errors)
    return { functions: [], routes: [], server: {}, faults, mayDefine: () => true }
  }
  const source = { file: options.file, text, root }
  const { document, routeIndexes, faults } = await validate(source, getNodeValue(root))
  const functions = Object.entries(document.functions ?? {})
  const drafts = (document.routes ?? []).map((route, position) =>
    draftOf(route, source, routeIndexes[position] ?? position),
  )
  return {
    functions: functions.map(([name, func]) => declare(name, func, { source, directory: options.directory })),
    routes: drafts.flatMap((draft) => draft.route ?? []),
    server: document.server ?? {},
    faults: [
      ...repeatedKeys(source),
      ...faults,
      ...functions.flatMap(([name, func]) => unknownProvider(name, func, { source, ...options })),
      ...drafts.flatMap((draft) => draft.faults),
    ],
    mayDefine: (name) => findNodeAtLocation(root, ['functions', name]) !== undefined,
  }
}

function declare(
  name: string,
  document: FunctionDocument,
  { source, directory }: { source: FlexiSource; directory: AbsolutePath },
): DeclaredFunction {
  const { provider, timeout, memory, environment, env_file: envFile, ...options } = document
  const config: FunctionConfig = {
    name,
    provider,
    directory,
    origin: locate(source, ['functions', name], 'key').place,
    environment: environment ?? {},
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
    memoryMb: memory,
    options,
  }
  if (envFile === undefined) return { config, envFile: undefined }
  return { config, envFile: { path: envFile, at: locate(source, ['functions', name, 'env_file']) } }
}

function unknownProvider(
  name: string,
  { provider }: FunctionDocument,
  { source, providers }: { source: FlexiSource; providers: readonly string[] },
): Fault[] {
  if (providers.includes(provider)) return []
  const near = closest(provider, providers)
  const hint = near === undefined ? `Write one of ${providers.join(', ')}.` : `Did you mean "${near}"?`
  const at = locate(source, ['functions', name, 'provider'])
  return [{ ...at, message: `unknown provider "${provider}"`, hint }]
}

function draftOf(
  route: RouteDocument,
  source: FlexiSource,
  index: number,
): { route: RouteDraft | undefined; faults: readonly Fault[] } {
  const { path, header, to } = route
  const at = locate(source, ['routes', index, 'to'])
  if (typeof to !== 'string' && to.length > 1 && !to.every((target) => /^https?:/i.test(target))) {
    const hint = 'Name one target, or several addresses that start with http:// or https://.'
    return { route: undefined, faults: [{ ...at, message: 'only upstreams can share a route', hint }] }
  }
  const draft = {
    matcher: matcherOf(path, header),
    pattern: header === undefined ? path : `${header} ${path}`,
    to: typeof to === 'string' ? to : to.join(' '),
    origin: locate(source, ['routes', index]).place,
    targetPlace: at.place,
    text: at.text,
  }
  return { route: draft, faults: [] }
}

/** `Host: iam` → { name: 'host', valuePrefix: 'iam' } */
function matcherOf(path: string, header: string | undefined): RouteMatcher {
  if (header === undefined) return { kind: 'path', path }
  const colon = header.indexOf(':')
  const field = { name: header.slice(0, colon).toLowerCase(), valuePrefix: header.slice(colon + 1).trim() }
  return { kind: 'path', path, field }
}
