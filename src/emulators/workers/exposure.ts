import type { Exposure, FunctionConfig } from '../../core/function.ts'
import type { AbsolutePath, Fault, Place } from '../../core/place.ts'
import type { RouteMatcher, RouteRule } from '../../core/route.ts'
import { configFileOf } from './detect.ts'

/** `route`, `routes` and `dev.port` of a worker's file. Its own faults are for `open` to tell. */
export async function workerExposure(config: FunctionConfig): Promise<Exposure | undefined> {
  const file = await configFileOf(config)
  if (file === undefined) return undefined
  if (!(await mentionsAddresses(file))) return only(file)
  const { readConfiguration } = await import('./configuration.ts')
  const env = typeof config.options['env'] === 'string' ? config.options['env'] : undefined
  const read = await readConfiguration(file, env).catch(() => undefined)
  if (read === undefined) return only(file)
  const { routes = [], route, dev } = read.config
  const { faultAt } = await import('./config-faults.ts')
  const parsed = await Promise.all(
    [...routes, ...(route === undefined ? [] : [route])].map(async (entry, index) => {
      const at = (message: string): Promise<Fault> =>
        faultAt(read.origin, ['routes', index], {
          message,
          hint: 'Write a pattern as Cloudflare has it: "example.com/api/*".',
        })
      return ruleOf(entry, { name: config.name, place: (await at('')).place, fault: at })
    }),
  )
  return {
    routes: parsed.flatMap((part) => ('rule' in part ? [part.rule] : [])),
    faults: parsed.flatMap((part) => ('fault' in part ? [part.fault] : [])),
    port: dev.port,
    files: [file],
  }
}

const only = (file: AbsolutePath): Exposure => ({ routes: [], files: [file], faults: [] })

/** Most files do not; the reader of those that do takes 100 ms to load. */
async function mentionsAddresses(file: AbsolutePath): Promise<boolean> {
  const { readFile } = await import('node:fs/promises')
  return /\broutes?\b|\bport\b/.test(await readFile(file, 'utf8').catch(() => ''))
}

type RouteEntry = string | { readonly pattern: string; readonly custom_domain?: boolean | undefined }

interface RuleOptions {
  readonly name: string
  readonly place: Place
  readonly fault: (message: string) => Promise<Fault>
}

async function ruleOf(
  entry: RouteEntry,
  { name, place, fault }: RuleOptions,
): Promise<{ readonly rule: RouteRule } | { readonly fault: Fault }> {
  const pattern = typeof entry === 'string' ? entry : entry.pattern
  const isDomain = typeof entry !== 'string' && entry.custom_domain === true
  const matcher = isDomain ? domainMatcher(pattern) : routeMatcher(pattern)
  if (typeof matcher === 'string') return { fault: await fault(`the route "${pattern}" ${matcher}`) }
  return { rule: { matcher, pattern, target: { kind: 'function', name }, origin: place } }
}

/** A custom domain is all of its host. */
function domainMatcher(pattern: string): RouteMatcher | string {
  if (pattern.includes('*') || pattern.includes('/'))
    return 'is a custom domain, which is the name of a host alone'
  return { kind: 'host', host: pattern.toLowerCase(), isSuffix: false, path: '/', isPrefix: true }
}

/** `*.example.com/api/*` as Cloudflare documents it; the text says what is wrong. */
function routeMatcher(pattern: string): RouteMatcher | string {
  const [, written = '', target] = /^(?:https?:\/\/)?([^/]*)(\/.*)?$/i.exec(pattern) ?? []
  const isSuffix = written.startsWith('*')
  const host = (isSuffix ? written.slice(1) : written).toLowerCase()
  const path = target ?? '/'
  const isPrefix = path.endsWith('*')
  const prefix = isPrefix ? path.slice(0, -1) : path
  if (written === '') return 'names no host'
  if (host.includes('*')) return 'has "*" inside its host, where it may only come first'
  if (prefix.includes('*')) return 'has "*" inside its path, where it may only come last'
  if (prefix.includes('?')) return 'has a query, which routes cannot have'
  return { kind: 'host', host, isSuffix, path: prefix, isPrefix }
}
