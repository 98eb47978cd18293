import { findNodeAtLocation, getNodeValue, parseTree, type ParseError } from 'jsonc-parser'

import type { FunctionConfig } from '../core/function.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import type { ServerSettings } from '../core/project.ts'
import { CASELESS_FIELDS, type RouteMatcher } from '../core/route.ts'
import { closest } from '../core/suggest.ts'
import type { RouteDraft } from './bind-routes.ts'
import { certificateFaults } from './certificate-files.ts'
import { deploySettings } from './deploy-schema.ts'
import { locate, repeatedKeys, syntaxFaults, type FaultPlace, type FlexiSource } from './flexi-faults.ts'
import type { FunctionDocument, RouteDocument } from './flexi-schema.ts'
import { readNamedFiles } from './named-files.ts'
import type { OriginDraft } from './proxy-target.ts'
import { pathAsSent, readRouteSettings } from './route-settings.ts'
import { readServer } from './server-section.ts'
import type { SectionReader } from './upstream-settings.ts'
import { validate } from './validation.ts'

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
  /** Certificates and the like, which must be there; their change means reading the project again. */
  readonly files: readonly AbsolutePath[]
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
    return { functions: [], routes: [], server: {}, files: [], faults, mayDefine: () => true }
  }
  const source = { file: options.file, text, root }
  const { document, routeIndexes, faults } = await validate(source, getNodeValue(root))
  const functions = Object.entries(document.functions ?? {})
  const { directory } = options
  const named = await readNamedFiles(document, directory)
  const reader: SectionReader = { source, directory, faults: [], files: [], named }
  const routes = (document.routes ?? []).flatMap(
    (route, position) => draftOf(route, routeIndexes[position] ?? position, reader) ?? [],
  )
  const server = document.server === undefined ? {} : readServer(document.server, reader)
  return {
    functions: functions.map(([name, func]) => declare(name, func, { source, directory })),
    routes,
    server,
    files: reader.files,
    faults: [
      ...repeatedKeys(source),
      ...faults,
      ...functions.flatMap(([name, func]) => unknownProvider(name, func, { source, ...options })),
      ...reader.faults,
      ...(await certificateFaults(document, routeIndexes, reader)),
    ],
    mayDefine: (name) => findNodeAtLocation(root, ['functions', name]) !== undefined,
  }
}

function declare(
  name: string,
  document: FunctionDocument,
  { source, directory }: { source: FlexiSource; directory: AbsolutePath },
): DeclaredFunction {
  const { provider, timeout, memory, port, environment, env_file: envFile, deploy, ...options } = document
  const config: FunctionConfig = {
    name,
    provider,
    directory,
    origin: locate(source, ['functions', name], 'key').place,
    placeOf: (option) => locate(source, ['functions', name, ...option]),
    environment: environment ?? {},
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
    port,
    memoryMb: memory,
    deploy: deploySettings(deploy),
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

/** Undefined when its target is a fault. */
function draftOf(route: RouteDocument, index: number, reader: SectionReader): RouteDraft | undefined {
  const { path, header, to } = route
  const at = locate(reader.source, ['routes', index, 'to'])
  const origins = typeof to === 'string' ? undefined : originsOf(to, index, reader.source)
  const isShared = origins !== undefined && origins.length > 1
  if (isShared && !origins.every(({ url }) => /^https?:/i.test(url))) {
    const hint = 'Name one target, or several addresses that start with http:// or https://.'
    reader.faults.push({ ...at, message: 'only upstreams can share a route', hint })
    return undefined
  }
  return {
    matcher: matcherOf(pathAsSent(path), header),
    pattern: header === undefined ? path : `${header} ${path}`,
    to: typeof to === 'string' ? to : to.map((one) => (typeof one === 'string' ? one : one.url)).join(' '),
    origins: isShared || typeof to?.[0] === 'object' ? origins : undefined,
    origin: locate(reader.source, ['routes', index]).place,
    targetPlace: at.place,
    text: at.text,
    settings: readRouteSettings(route, index, reader),
  }
}

/** Addresses in a list, each with its own place. */
function originsOf(
  list: Exclude<RouteDocument['to'], string>,
  index: number,
  source: FlexiSource,
): readonly OriginDraft[] {
  return list.map((one, position) => {
    const path = ['routes', index, 'to', position]
    if (typeof one === 'string') return { url: one, at: locate(source, path) }
    const { url, weight, max_requests: requestsMax, backup } = one
    return { url, at: locate(source, [...path, 'url']), settings: { weight, requestsMax, backup } }
  })
}

/** `Host: iam` → { name: 'host', valuePrefix: 'iam' } */
function matcherOf(path: string, header: string | undefined): RouteMatcher {
  if (header === undefined) return { kind: 'path', path }
  const colon = header.indexOf(':')
  const name = header.slice(0, colon).toLowerCase()
  const value = header.slice(colon + 1).trim()
  const field = { name, valuePrefix: CASELESS_FIELDS.has(name) ? value.toLowerCase() : value }
  return { kind: 'path', path, field }
}
