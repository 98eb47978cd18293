import { isDeepStrictEqual } from 'node:util'

import type { RawRequest } from '../core/fetcher.ts'
import { FlexiError } from '../core/errors.ts'
import type { RouteMatcher } from '../core/route.ts'
import { originForm } from '../forward/request-line.ts'
import { matchRoute, type BoundRoute, type RouteTable } from './route-table.ts'

/**
 * Refuses a target that one server reads as another path than the next: `/api/../admin`, `/api/..%2fadmin`, `//admin`, `/api;x/..`.
 * We match the bytes as sent, and forward them untouched; an upstream that makes them plain must not end up on what another route
 * guards, nor above the prefix that is taken off. So every reading that is known of servers must stay on the route, and so must
 * each step on the way there.
 * @throws FlexiError FLEXI_BAD_REQUEST.
 */
export function checkPath(raw: RawRequest, table: RouteTable, route: BoundRoute): void {
  // One look is enough for nearly every target.
  if (!ODD.test(raw.target)) return
  const target = originForm(raw.target)
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  if (!ODD.test(path)) return
  if (path.includes('%00')) throw refusal('the path holds a NUL')
  const lenient = route.rule.matcher.kind === 'template' && !isAmbiguous(path)
  const rest = query === -1 ? '' : target.slice(query)
  const stays = (plain: string): boolean => {
    const taken = matchRoute(table, { ...raw, target: plain + rest })?.route
    return taken === route || (lenient && isHarmless(taken, route))
  }
  const own = ownSpelling(path, route)
  for (const reading of readings(path.slice(own.length))) {
    if (isWithin(own + reading, stays)) continue
    throw refusal('the path means another one to servers that make it plain')
  }
}

const ODD = /[%\\;]|\/[./]/

function refusal(message: string): FlexiError {
  return new FlexiError('FLEXI_BAD_REQUEST', message, { hint: 'Ask for the plain path.' })
}

/** API Gateway hands on what is escaped as it came: only a rule that is no template, and guards or leads elsewhere, is in danger. */
function isHarmless(taken: BoundRoute | undefined, route: BoundRoute): boolean {
  if (taken === undefined || taken.rule.matcher.kind === 'template') return true
  return taken.rule.protection === undefined && isDeepStrictEqual(taken.rule.target, route.rule.target)
}

/** What the rule itself writes escaped (`/caf%C3%A9`) is meant so; empty for a rule that is plain. */
function ownSpelling(path: string, { rule: { matcher } }: BoundRoute): string {
  const written = writtenPath(matcher)
  return SPELLED.test(written) && path.startsWith(written) ? written : ''
}

function writtenPath(matcher: RouteMatcher): string {
  switch (matcher.kind) {
    case 'prefix':
      return matcher.prefix
    case 'field':
      return matcher.pathPrefix ?? ''
    case 'path':
      return matcher.path.replace(/\/$/, '')
    case 'host':
      return matcher.path
    case 'template':
      return ''
  }
}

const SPELLED = /[%\\;\x80-\xff]/

/** Without a dot segment in the most generous reading, `//` or `\`, all servers agree on the path. */
function isAmbiguous(path: string): boolean {
  if (path.includes('//') || path.includes('\\')) return true
  return readEveryHabit(path)
    .split('/')
    .some((segment) => segment === '.' || segment === '..')
}

/** What servers do to a path besides undoing `%2e` and `..`: each of them, some of them, or none. */
const HABITS: readonly ((path: string) => string)[] = [
  // Undo escapes twice.
  (path) => unescaped(path.replaceAll(/%(?:25)+(?=[0-9a-f]{2})/gi, '%')),
  // Undo escapes once.
  unescaped,
  // Write the bytes that are not ASCII escaped, in upper case.
  (path) =>
    path
      .replaceAll(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase())
      .replaceAll(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`),
  // Take %2f, \ and %5c for a slash.
  (path) => path.replaceAll(/%2f|%5c|\\/gi, '/'),
  // Drop path parameters (Java's servers).
  (path) => path.replaceAll(/;[^/]*/g, ''),
  // Take several slashes for one (nginx).
  (path) => path.replaceAll(/\/{2,}/g, '/'),
]

/** Undoes escapes of what is visible or no ASCII; an escaped slash is a habit of its own. */
function unescaped(path: string): string {
  return path.replaceAll(/%(?!2f|5c|20|7f)[2-9a-f][0-9a-f]/gi, (escape) =>
    String.fromCharCode(Number.parseInt(escape.slice(1), 16)),
  )
}

function readEveryHabit(path: string): string {
  return HABITS.reduce((plain, habit) => habit(plain), path).replaceAll(/%2e/gi, '.')
}

/** With every choice of habits, in their order. */
function readings(path: string): ReadonlySet<string> {
  const all = new Set([path])
  for (const habit of HABITS) for (const plain of new Set(all)) all.add(habit(plain))
  return new Set([...all].map((plain) => plain.replaceAll(/%2e/gi, '.')))
}

/** More steps up than any honest path has, each of which is matched. */
const STEPS_UP_MAX = 16

/** Walks the segments (RFC 3986 section 5.2.4); false as soon as a step leaves the root or the route. */
function isWithin(path: string, stays: (plain: string) => boolean): boolean {
  const kept: string[] = []
  let up = 0
  for (const segment of path.slice(1).split('/')) {
    if (segment === '..') {
      if (kept.pop() === undefined || ++up > STEPS_UP_MAX || !stays(`/${kept.join('/')}/`)) return false
    } else if (segment !== '.') {
      kept.push(segment)
    }
  }
  return stays(`/${kept.join('/')}${/\/\.{1,2}$/.test(path) && kept.length > 0 ? '/' : ''}`)
}
