import type { AbsolutePath, Place } from './place.ts'

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
   * `stage`: first path segment that is not part of the pattern, for REST stages.
   */
  | {
      readonly kind: 'template'
      readonly method: string | undefined
      readonly segments: readonly TemplateSegment[] | undefined
    }

export type TemplateSegment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string }
  | { readonly kind: 'greedy'; readonly name: string }

/** What answers. */
export type RouteTarget =
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'upstream'; readonly origins: readonly string[] }
  | { readonly kind: 'static'; readonly directory: AbsolutePath }

/** One rule; the first that matches wins, in the order of the project. */
export interface RouteRule {
  readonly matcher: RouteMatcher
  readonly target: RouteTarget
  /** As the file writes it, for tables and messages: `Host: iam /`, `GET /users/{id}`. */
  readonly pattern: string
  readonly origin: Place
  /** The provider's own data for its events; handed to the fetcher as `context.route.options`. */
  readonly options?: unknown
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
