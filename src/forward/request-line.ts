/** `http://host/x?y` → `/x?y`; `/x` and `*` stay. RFC 9112 section 3.2: an origin server is asked in origin-form. */
export function originForm(target: string): string {
  if (target.charCodeAt(0) === SLASH) return target
  const scheme = target.indexOf('://')
  if (scheme === -1) return target
  const rest = target.slice(scheme + 3)
  const end = rest.search(/[/?]/)
  if (end === -1) return '/'
  return rest.charCodeAt(end) === SLASH ? rest.slice(end) : `/${rest.slice(end)}`
}

/** `http://user@host:1/x` → `user@host:1`; undefined for the other forms. */
export function authorityOf(target: string): string | undefined {
  const match = /^https?:\/\/([^/?]*)/i.exec(target)
  return match?.[1]
}

const SLASH = 47

/** The path of a target in any form, without its query. */
export function pathOf(target: string): string {
  const origin = originForm(target)
  const query = origin.indexOf('?')
  return query === -1 ? origin : origin.slice(0, query)
}

/** The first value of a lower-case name in a name, value list. */
export function fieldValue(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const other = fields[i]
    if (other !== undefined && other.length === name.length && other.toLowerCase() === name)
      return fields[i + 1]
  }
  return undefined
}

/** RFC 9110 section 9.2.2. */
export const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

const REQUEST_LINE = /^[\w!#$%&'*+.^`|~-]+ [\x21-\x7e\x80-\xff]+$/

/** `GET /x`: nothing in it could end the line or begin another part of it. */
export function isRequestLine(line: string): boolean {
  return REQUEST_LINE.test(line)
}

/** Letters that a URL parser leaves as they are. */
const PLAIN = /^\/[\w\-.~!$&'()*+,;=:@%/?]*$/
/** A segment that means another one, or may: `/./`, `/../`, `/%2e`. */
const DOTS = /\/(?:\.|%2e)/i

/**
 * The target as a URL parser writes it (WHATWG URL): dot segments resolved, signs that have no place in a URL percent-encoded. What servers
 * see whose own parser knows no better; nearly always what was sent.
 */
export function plainTarget(target: string): string {
  if (PLAIN.test(target) && !DOTS.test(target)) return target
  if (target.charCodeAt(0) !== SLASH || !URL.canParse(ANY_HOST + target)) return target
  const { pathname, href } = new URL(ANY_HOST + target)
  // Newer editions of the standard encode it in paths, and Node 20 does not.
  return pathname.replaceAll('^', '%5E') + href.slice(ANY_HOST.length + pathname.length)
}

const ANY_HOST = 'http://h'
