import type { RawRequest } from '../core/fetcher.ts'
import { FlexiError } from '../core/errors.ts'
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
  if (!isAmbiguous(path)) return
  const rest = query === -1 ? '' : target.slice(query)
  const stays = (plain: string): boolean =>
    matchRoute(table, { ...raw, target: plain + rest })?.route === route
  if (![...readings(path)].every((reading) => isWithin(reading, stays))) {
    throw refusal('the path means another one to servers that make it plain')
  }
}

const ODD = /[%\\;]|\/[./]/

function refusal(message: string): FlexiError {
  return new FlexiError('FLEXI_BAD_REQUEST', message, { hint: 'Ask for the plain path.' })
}

/** Without a dot segment in the most generous reading, `//` or `\`, all servers agree on the path. */
function isAmbiguous(path: string): boolean {
  if (path.includes('//') || path.includes('\\')) return true
  return read(path, EVERY_HABIT)
    .split('/')
    .some((segment) => segment === '.' || segment === '..')
}

/** What servers do to a path besides undoing `%2e` and `..`: each of them, some of them, or none. */
const HABITS: readonly ((path: string) => string)[] = [
  // Undo escapes twice.
  (path) => path.replaceAll(/%(?:25)+(?=2e|2f|5c)/gi, '%'),
  // Take %2f, \ and %5c for a slash.
  (path) => path.replaceAll(/%2f|%5c|\\/gi, '/'),
  // Drop path parameters (Java's servers).
  (path) => path.replaceAll(/;[^/]*/g, ''),
  // Take several slashes for one (nginx).
  (path) => path.replaceAll(/\/{2,}/g, '/'),
]
const EVERY_HABIT = (1 << HABITS.length) - 1

/** `habits` has a bit for each habit. */
function read(path: string, habits: number): string {
  let plain = path
  for (const [i, habit] of HABITS.entries()) if ((habits & (1 << i)) !== 0) plain = habit(plain)
  return plain.replaceAll(/%2e/gi, '.')
}

function readings(path: string): ReadonlySet<string> {
  const all = new Set<string>()
  for (let habits = 0; habits <= EVERY_HABIT; habits++) all.add(read(path, habits))
  return all
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
