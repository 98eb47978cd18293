import type { AbsolutePath, Place } from './place.ts'
import type { RequestKey, UpstreamOrigin, UpstreamSettings } from './upstream.ts'

/** Fields whose values know no case: names of hosts and of protocols (RFC 9110 sections 4.2.3 and 7.8). Rules hold them in lower case. */
export const CASELESS_FIELDS: ReadonlySet<string> = new Set(['host', 'upgrade'])

/** Which requests a rule takes. */
export type RouteMatcher =
  /** FlexiLib's path form: a byte prefix of the raw target, query included. `/c` takes `/cat?x`. */
  | { readonly kind: 'prefix'; readonly prefix: string }
  /**
   * FlexiLib's header form. Only the first field of that name is looked at; `name` is lower-case, `valuePrefix` case-sensitive.
   * `pathPrefix` undefined never matches (FlexiLib: header without a path part).
   */
  | {
      readonly kind: 'field'
      readonly name: string
      readonly valuePrefix: string
      readonly pathPrefix: string | undefined
    }
  /** flexi.jsonc: a path and everything below it. `/api` takes `/api`, `/api?x` and `/api/x`, not `/apix`; `/` takes all. */
  | {
      readonly kind: 'path'
      readonly path: string
      readonly field?: { readonly name: string; readonly valuePrefix: string } | undefined
    }
  /**
   * API Gateway: segments are literal, `{name}` or a last `{name+}`. `method` undefined is ANY; `segments` undefined is `$default`.
   */
  | {
      readonly kind: 'template'
      readonly method: string | undefined
      readonly segments: readonly TemplateSegment[] | undefined
    }
  /** Cloudflare: `example.com/api/*`. The query is part of the path; `*` stands at the host's beginning and the path's end alone. */
  | {
      readonly kind: 'host'
      /** Lower-case, without a port. */
      readonly host: string
      /** `host` is how names end, as `*` before it says. */
      readonly isSuffix: boolean
      readonly path: string
      /** `path` is how targets begin. */
      readonly isPrefix: boolean
    }

export type TemplateSegment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string }
  | { readonly kind: 'greedy'; readonly name: string }

/** What answers. */
export type RouteTarget =
  | { readonly kind: 'function'; readonly name: string }
  | {
      readonly kind: 'upstream'
      readonly origins: readonly UpstreamOrigin[]
      readonly settings?: UpstreamSettings | undefined
    }
  | {
      readonly kind: 'static'
      readonly directory: AbsolutePath
      readonly settings?: StaticSettings | undefined
    }

/** How a folder is served. */
export interface StaticSettings {
  /** File that answers for a folder; default `index.html`, false lists nothing and answers 404. */
  readonly index?: string | false | undefined
  /** File of the folder that answers, with 200, for a path that names no file: `index.html` of a single-page app. */
  readonly fallback?: string | undefined
  /** Serves `a.js.br`, `a.js.zst` or `a.js.gz` for `a.js` when it is there and the client takes it; default true. */
  readonly precompressed?: boolean | undefined
  /** Cache-Control of every file; default `no-cache` with validators, so that an edit is seen at once. */
  readonly cacheControl?: string | undefined
}

/** What a route asks of a request before anything answers it. */
export interface RouteProtection {
  readonly rate?: RateLimit | undefined
  /** CIDR blocks and addresses. Without `allow` everyone may ask; `deny` wins. */
  readonly allow?: readonly string[] | undefined
  readonly deny?: readonly string[] | undefined
  /** Bytes of a request's content; beyond it 413. */
  readonly bodyBytesMax?: number | undefined
  /** Bytes of a request's fields, names and values; beyond it 431. */
  readonly fieldBytesMax?: number | undefined
  /** Compresses answers of types worth it that are not compressed yet. */
  readonly compress?: boolean | undefined
}

export interface RateLimit {
  readonly requests: number
  readonly perMs: number
  /** Requests that may come at once above the rate; default 0. */
  readonly burst?: number | undefined
  readonly key: RequestKey
}

/** One rule; the first that matches wins, in the order of the project. */
export interface RouteRule {
  readonly matcher: RouteMatcher
  readonly target: RouteTarget
  /** As the file writes it, for tables and messages: `Host: iam /`, `GET /users/{id}`. */
  readonly pattern: string
  readonly origin: Place
  /** The provider's own data for its events; handed to the fetcher as `context.route.options`. */
  readonly options?: unknown
  readonly protection?: RouteProtection | undefined
}

/** `/users/{id}` → segments; `{proxy+}` is greedy and must be last. Leading and trailing slashes are ignored, as API Gateway does. */
export function parseTemplate(path: string): readonly TemplateSegment[] {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => {
      const match = /^\{([^}+]+)(\+?)\}$/.exec(segment)
      if (match?.[1] === undefined) return { kind: 'literal', text: segment }
      return match[2] === '+' ? { kind: 'greedy', name: match[1] } : { kind: 'parameter', name: match[1] }
    })
}

/** The upstream of an entry that names none. */
export const NOWHERE = 'http://127.0.0.1:0'

/** What a route leads to, for tables and messages; `folder` writes a path as its reader knows it. */
export function describeTarget(target: RouteTarget, folder: (path: AbsolutePath) => string): string {
  switch (target.kind) {
    case 'function':
      return target.name
    case 'upstream':
      return target.origins.map(({ url }) => (url === NOWHERE ? 'nothing' : url)).join(' ')
    case 'static':
      return folder(target.directory)
  }
}
