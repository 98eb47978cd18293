import type { Fault } from '../core/place.ts'
import type { RouteMatcher } from '../core/route.ts'
import type { RouteDraft } from './bind-routes.ts'

/** Every pair is compared: a table longer than this is a program's, which needs no advice. */
const ROUTES_MAX = 1_000

/** Warns of each route that can never answer, because an earlier one takes all its requests: the first match wins. */
export function neverReached(drafts: readonly RouteDraft[]): Fault[] {
  if (drafts.length > ROUTES_MAX) return []
  const scopes = drafts.map((draft) => scopeOf(draft.matcher))
  return drafts.flatMap((draft, index): Fault[] => {
    if (isNoTarget(draft.matcher)) return [noTarget(draft)]
    const earlier = drafts.find((_, other) => other < index && covers(scopes[other], scopes[index]))
    if (earlier === undefined) return []
    const { file, line } = earlier.origin
    const message = `never reached: "${earlier.pattern}" at ${file}:${line} takes its requests first`
    const hint = 'Move the more specific route above the more general one.'
    return [{ place: draft.origin, text: draft.text, message, hint, severity: 'warning' }]
  })
}

/** A target is a path or `*`: a prefix that begins otherwise takes none. */
function isNoTarget(matcher: RouteMatcher): boolean {
  return matcher.kind === 'prefix' && !/^(?:\/|\*$|https?:\/\/)/i.test(matcher.prefix)
}

function noTarget({ origin, text, pattern }: RouteDraft): Fault {
  const message = `never matches: no path starts with "${pattern}"`
  return { place: origin, text, message, hint: `Write "/${pattern}".`, severity: 'warning' }
}

/** Which requests a matcher takes, in a form that two can be compared in. */
interface Scope {
  readonly field: { readonly name: string; readonly valuePrefix: string } | undefined
  readonly path: string
  /** True when `path` ends at a slash, the query or the end of the target. */
  readonly whole: boolean
}

/** Undefined when nothing is certain. */
function scopeOf(matcher: RouteMatcher): Scope | undefined {
  switch (matcher.kind) {
    case 'prefix':
      return { field: undefined, path: matcher.prefix, whole: false }
    case 'field':
      return matcher.pathPrefix === undefined
        ? undefined
        : { field: matcher, path: matcher.pathPrefix, whole: false }
    case 'path':
      return { field: matcher.field, path: matcher.path.replace(/\/$/, ''), whole: true }
    case 'host':
    case 'template':
      return undefined
  }
}

function covers(general: Scope | undefined, special: Scope | undefined): boolean {
  if (general === undefined || special === undefined) return false
  return coversField(general.field, special.field) && coversPath(general, special)
}

function coversField(general: Scope['field'], special: Scope['field']): boolean {
  if (general === undefined) return true
  return general.name === special?.name && special.valuePrefix.startsWith(general.valuePrefix)
}

function coversPath(general: Scope, special: Scope): boolean {
  if (!general.whole)
    return (special.path === '' && special.whole ? '/' : special.path).startsWith(general.path)
  const below = special.path.startsWith(`${general.path}/`)
  return below || (special.whole && special.path === general.path)
}
