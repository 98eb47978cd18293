import { parseAddressBlock } from '../core/addresses.ts'
import { LIMITS } from '../core/limits.ts'
import type { Fault } from '../core/place.ts'
import type { RateLimit, RouteProtection, RouteTarget, StaticSettings } from '../core/route.ts'
import type { UpstreamSettings } from '../core/upstream.ts'
import { locate, type FaultPlace, type FlexiSource, type Path } from './flexi-faults.ts'
import type { RouteDocument } from './flexi-schema.ts'
import { staticFiles, type StaticFile } from './static-files.ts'
import { readKey, readUpstream, type SectionReader } from './upstream-settings.ts'

/** A part of a route, and where its key stands: whether it fits is known when the target is. */
interface Section<Settings> {
  readonly settings: Settings
  readonly at: FaultPlace
}

/** What a route says besides what it takes and where it leads. */
export interface RouteSettings {
  readonly upstream?: Section<UpstreamSettings> | undefined
  readonly static?: Section<StaticSettings> | undefined
  /** Those that `static` names: whether they are there is known when the folder is. */
  readonly files?: readonly StaticFile[] | undefined
  /** The prefix that is taken off. */
  readonly stripPrefix?: Section<string> | undefined
  readonly protection?: RouteProtection | undefined
}

/** Reads what a route says besides `path`, `header` and `to`; `index` is its place in the file's list. */
export function readRouteSettings(route: RouteDocument, index: number, reader: SectionReader): RouteSettings {
  const path = ['routes', index] as const
  const section = <Settings>(key: string, settings: Settings): Section<Settings> => ({
    settings,
    at: locate(reader.source, [...path, key], 'key'),
  })
  const { upstream, static: files } = route
  reader.faults.push(...idleTls(route, [...path, 'upstream', 'tls'], reader.source))
  return {
    upstream:
      upstream === undefined
        ? undefined
        : section('upstream', readUpstream(upstream, [...path, 'upstream'], reader)),
    static: files === undefined ? undefined : section('static', readStatic(files)),
    files: files === undefined ? undefined : staticFiles(files, [...path, 'static'], reader.source),
    stripPrefix:
      route.strip_prefix === true
        ? section('strip_prefix', pathAsSent(route.path).replace(/\/+$/, ''))
        : undefined,
    protection: readProtection(route, path, reader),
  }
}

/** A warning for certificates and the like that no connection of the route uses. */
function idleTls({ to, upstream }: RouteDocument, path: Path, source: FlexiSource): Fault[] {
  if (upstream?.tls === undefined) return []
  const origins =
    typeof to === 'string' ? to.split(/[ \t]+/) : to.map((one) => (typeof one === 'string' ? one : one.url))
  if (!origins.every((url) => /^http:/i.test(url))) return []
  const message = '"tls" has no effect: no upstream of this route begins with https://'
  const hint = 'Write https:// where an upstream speaks TLS, or remove "tls".'
  return [{ ...locate(source, path, 'key'), message, hint, severity: 'warning' }]
}

function readStatic(document: NonNullable<RouteDocument['static']>): StaticSettings {
  const { index, fallback, precompressed, cache_control: cacheControl } = document
  return { index, fallback, precompressed, cacheControl }
}

function readProtection(
  { limits, allow, deny, compress }: RouteDocument,
  path: Path,
  { source, faults }: SectionReader,
): RouteProtection | undefined {
  faults.push(...addressFaults(source, [...path, 'allow'], allow))
  faults.push(...addressFaults(source, [...path, 'deny'], deny))
  const protection: RouteProtection = {
    ...readLimits(limits, [...path, 'limits'], { source, faults }),
    allow,
    deny: deny?.length === 0 ? undefined : deny,
    compress: compress === true ? true : undefined,
  }
  return Object.values(protection).some((part) => part !== undefined) ? protection : undefined
}

function readLimits(
  { rate, body, headers }: Limits = {},
  path: Path,
  { source, faults }: Pick<SectionReader, 'source' | 'faults'>,
): RouteProtection {
  const fieldBytesMax = readBytes(headers)
  if (fieldBytesMax !== undefined && fieldBytesMax > LIMITS.headBytesMax) {
    const message = `"headers" has no effect: no head above ${LIMITS.headBytesMax} bytes is taken`
    const at = locate(source, [...path, 'headers'])
    faults.push({ ...at, message, hint: 'Remove it, or write less.', severity: 'warning' })
  }
  return {
    rate: rate === undefined ? undefined : readRate(rate),
    bodyBytesMax: readBytes(body),
    fieldBytesMax,
  }
}

type Limits = NonNullable<RouteDocument['limits']>

function readRate({ requests, seconds = 1, burst, by }: NonNullable<Limits['rate']>): RateLimit {
  return { requests, perMs: seconds * 1000, burst, key: readKey(by ?? 'address') }
}

/** `10mb` → 10 485 760: a KB has 1 024 bytes, as nginx counts. */
function readBytes(size: Limits['body']): number | undefined {
  if (size === undefined || typeof size === 'number') return size
  const [, number = '', unit = ''] = /^([0-9.]+) ?([kmg]?)/.exec(size.toLowerCase()) ?? []
  return Math.floor(Number(number) * 1024 ** ' kmg'.indexOf(unit === '' ? ' ' : unit))
}

/** A fault for each that is no address. */
export function addressFaults(
  source: FlexiSource,
  path: Path,
  addresses: readonly string[] | undefined,
): Fault[] {
  return (addresses ?? []).flatMap((address, index): Fault[] => {
    if (parseAddressBlock(address) !== undefined) return []
    const hint = 'Write an address, for example 10.0.0.1 or ::1, or a block, for example 10.0.0.0/8.'
    return [{ ...locate(source, [...path, index]), message: `"${address}" is no address`, hint }]
  })
}

/** The target with the settings that are for its kind, and a fault for each part that is for another. */
export function fitSettings(
  target: RouteTarget,
  settings: RouteSettings,
): { readonly target: RouteTarget; readonly faults: readonly Fault[] } {
  const { static: files } = settings
  switch (target.kind) {
    case 'function':
      return { target, faults: misfits(target, settings, ['upstream', 'strip_prefix', 'static']) }
    case 'static':
      return {
        target: files === undefined ? target : { ...target, settings: files.settings },
        faults: misfits(target, settings, ['upstream', 'strip_prefix']),
      }
    case 'upstream':
      return {
        target: { ...target, ...upstreamSettings(settings) },
        faults: misfits(target, settings, ['static']),
      }
  }
}

/** `/café` is `/caf%C3%A9` on the wire. */
export function pathAsSent(path: string): string {
  return path.replace(/[^\0-\x7f]+/g, encodeURIComponent)
}

function upstreamSettings({ upstream, stripPrefix }: RouteSettings): { settings?: UpstreamSettings } {
  if (upstream === undefined && stripPrefix === undefined) return {}
  const prefix = stripPrefix?.settings === '' ? undefined : stripPrefix?.settings
  return { settings: { ...upstream?.settings, stripPrefix: prefix } }
}

function misfits(
  { kind }: RouteTarget,
  { upstream, static: files, stripPrefix }: RouteSettings,
  keys: readonly (keyof typeof WANTED)[],
): Fault[] {
  const sections = { upstream, static: files, strip_prefix: stripPrefix }
  return keys.flatMap((key): Fault[] => {
    const section = sections[key]
    if (section === undefined) return []
    const message = `"${key}" is for routes that lead to ${WANTED[key]}, and this one leads to ${KINDS[kind]}`
    return [{ ...section.at, message, hint: `Remove "${key}".` }]
  })
}

const KINDS = { function: 'a function', upstream: 'an upstream', static: 'a folder' } as const
const WANTED = { upstream: KINDS.upstream, strip_prefix: KINDS.upstream, static: KINDS.static } as const
