import type { Place } from '../../../core/place.ts'
import type { RouteMatcher, RouteRule } from '../../../core/route.ts'
import type { WebSocketOptions } from '../front-ends/route-options.ts'

/** A WebSocket API, as a reader of templates found it. */
export interface WebSocketApi {
  readonly origin: Place
  readonly options: Omit<WebSocketOptions, 'frontEnd' | 'path'>
}

/**
 * The rules of all WebSocket APIs of a project, to be put before its other routes: handshakes for `/STAGE`, requests for
 * `/STAGE/@connections/ID`, and as a custom domain would have them for the first API, handshakes and `/@connections/ID` at the root.
 * A second API with a stage of the same name is at `/APIID/STAGE`. They take nothing else. An API without routes has none.
 */
export function webSocketRoutes(apis: readonly WebSocketApi[]): RouteRule[] {
  const taken = new Set<string>()
  const routed = apis.filter(({ options }) => Object.keys(options.routes).length > 0)
  const placed = routed.map((api) => {
    const short = `/${api.options.stage}`
    const path = taken.has(short) ? `/${api.options.apiId}${short}` : short
    taken.add(path)
    return { api, path }
  })
  const [first] = placed
  const root = first === undefined ? [] : rulesAt(first.api, '')
  // Longer paths first: `/@connections` is no stage, but the root's handshake takes every path.
  return [...placed.flatMap(({ api, path }) => rulesAt(api, path)), ...root]
}

/** `path` is empty or begins with a slash. */
function rulesAt({ options, origin }: WebSocketApi, path: string): RouteRule[] {
  const name = entryOf(options)
  const rule = (pattern: string, matcher: RouteMatcher): RouteRule => ({
    matcher,
    target: { kind: 'function', name },
    pattern,
    origin,
    options: { ...options, frontEnd: 'websocket', path } satisfies WebSocketOptions,
  })
  return [
    rule(`${path}/@connections/{connectionId}`, { kind: 'path', path: `${path}/@connections` }),
    rule(`WebSocket ${path === '' ? '/' : path}`, {
      kind: 'path',
      path: path === '' ? '/' : path,
      field: { name: 'upgrade', valuePrefix: 'websocket' },
    }),
  ]
}

/** A route leads to one function; which of them is asked is for the guard to say. */
function entryOf({ routes }: Pick<WebSocketOptions, 'routes'>): string {
  const route = routes['$connect'] ?? routes['$default'] ?? Object.values(routes)[0]
  return route?.function ?? ''
}
