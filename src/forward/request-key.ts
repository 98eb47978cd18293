import type { RequestContext } from '../core/fetcher.ts'
import type { RequestKey } from '../core/upstream.ts'
import { pathOf } from './request-line.ts'

/** What a request is told apart by; undefined when it does not have it. `field` reads a field by its lower-case name. */
export function requestKey(
  key: RequestKey,
  { clientAddress, raw }: RequestContext,
  field: (name: string) => string | undefined,
): string | undefined {
  switch (key.kind) {
    case 'address':
      return clientAddress
    case 'path':
      return pathOf(raw.target)
    case 'field':
      return field(key.name)
    case 'cookie':
      return cookieValue(field('cookie') ?? '', key.name)
  }
}

/** `a=1; b=2`, `b` → `2`. The first of a name counts. */
function cookieValue(cookies: string, name: string): string | undefined {
  for (const cookie of cookies.split(';')) {
    const equals = cookie.indexOf('=')
    if (equals !== -1 && cookie.slice(0, equals).trim() === name) return cookie.slice(equals + 1).trim()
  }
  return undefined
}
