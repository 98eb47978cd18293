import type { IncomingMessage } from 'node:http'

import type { RequestContext } from '../core/fetcher.ts'
import type { RequestKey } from '../core/upstream.ts'
import { originForm } from '../forward/request-line.ts'

/** What a request is told apart by; undefined when it does not have it. */
export function requestKey(
  key: RequestKey,
  incoming: IncomingMessage,
  context: RequestContext,
): string | undefined {
  switch (key.kind) {
    case 'address':
      return context.clientAddress
    case 'path':
      return pathOf(context.raw.target)
    case 'field':
      return text(incoming.headers[key.name])
    case 'cookie':
      return cookieValue(incoming.headers.cookie, key.name)
  }
}

function pathOf(target: string): string {
  const path = originForm(target)
  const query = path.indexOf('?')
  return query === -1 ? path : path.slice(0, query)
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

/** `a=1; b=2`, `b` → `2`. The first of a name counts; an empty value is none. */
function cookieValue(cookies: string | undefined, name: string): string | undefined {
  if (cookies === undefined) return undefined
  for (const cookie of cookies.split(';')) {
    const equals = cookie.indexOf('=')
    if (equals !== -1 && cookie.slice(0, equals).trim() === name) {
      return cookie.slice(equals + 1).trim() || undefined
    }
  }
  return undefined
}
