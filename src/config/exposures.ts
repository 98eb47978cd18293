import type { Emulator, Exposure, FunctionConfig } from '../core/function.ts'
import type { AbsolutePath, Fault } from '../core/place.ts'
import type { RouteMatcher, RouteRule } from '../core/route.ts'

interface Exposures {
  readonly functions: readonly FunctionConfig[]
  /** The most specific first. */
  readonly routes: readonly RouteRule[]
  readonly files: readonly AbsolutePath[]
  readonly faults: readonly Fault[]
}

/** What the functions' own files say about where they are to be found. flexi.jsonc's word on a port counts more. */
export async function exposures(
  functions: readonly FunctionConfig[],
  emulators: Readonly<Record<string, Emulator>>,
): Promise<Exposures> {
  const found = await Promise.all(
    functions.map(async (config) => (await emulators[config.provider]?.exposure?.(config)) ?? NOTHING),
  )
  const all = functions.map((config, index) => {
    const port = config.port ?? found[index]?.port
    return port === undefined ? config : { ...config, port }
  })
  return {
    functions: all,
    routes: found.flatMap(({ routes }) => routes).toSorted(bySpecificity),
    files: found.flatMap(({ files }) => files),
    faults: [...found.flatMap(({ faults }) => faults), ...sharedPorts(all)],
  }
}

const NOTHING: Exposure = { routes: [], files: [], faults: [] }

type HostMatcher = Extract<RouteMatcher, { kind: 'host' }>

/** A whole host before its endings, the longer before the shorter; the same for paths. */
function bySpecificity({ matcher: left }: RouteRule, { matcher: right }: RouteRule): number {
  if (left.kind !== 'host' || right.kind !== 'host') return 0
  return byHost(left, right) || byPath(left, right)
}

function byHost(left: HostMatcher, right: HostMatcher): number {
  return Number(left.isSuffix) - Number(right.isSuffix) || right.host.length - left.host.length
}

function byPath(left: HostMatcher, right: HostMatcher): number {
  return Number(left.isPrefix) - Number(right.isPrefix) || right.path.length - left.path.length
}

function sharedPorts(functions: readonly FunctionConfig[]): readonly Fault[] {
  return functions.flatMap(({ name, port, origin }, index): Fault[] => {
    const first = functions.findIndex((other) => port !== undefined && other.port === port)
    if (first === -1 || first === index) return []
    const message = `${name} and ${functions[first]?.name ?? ''} both want port ${port}`
    return [{ place: origin, message, hint: 'Give one of them another port in flexi.jsonc.' }]
  })
}
