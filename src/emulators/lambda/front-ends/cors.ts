import { wildcard } from '../../../core/expressions.ts'
import type { CorsOptions } from './route-options.ts'

/** A CORS block, ready to answer. Lists are name, value, name, value …; empty for an origin that is not allowed. */
export interface Cors {
  /** Fields of any answer to a request from there. */
  fields(origin: string | undefined): readonly string[]
  /** Fields of the answer to a preflight request from there. */
  preflightFields(origin: string | undefined, asked: AskedByPreflight): readonly string[]
}

/** What a preflight request wants to know. */
interface AskedByPreflight {
  readonly method: string | undefined
  readonly headers: string | undefined
}

export function openCors(options: CorsOptions): Cors {
  const { allowCredentials = false, exposeHeaders = [], maxAge } = options
  const allows = originTest(options.allowOrigins ?? [])
  const isOpen = options.allowOrigins?.includes('*') === true && !allowCredentials
  const credentials = allowCredentials ? ['access-control-allow-credentials', 'true'] : []
  const exposed = exposeHeaders.length > 0 ? ['access-control-expose-headers', exposeHeaders.join(',')] : []
  const age = maxAge === undefined ? [] : ['access-control-max-age', String(maxAge)]
  const originFields = (origin: string): readonly string[] =>
    isOpen
      ? ['access-control-allow-origin', '*']
      : ['access-control-allow-origin', origin, 'vary', 'Origin', ...credentials]
  return {
    fields: (origin) =>
      origin === undefined || !allows(origin) ? [] : [...originFields(origin), ...exposed],
    preflightFields(origin, asked) {
      if (origin === undefined || !allows(origin)) return []
      const methods = allowed(options.allowMethods, asked.method, allowCredentials)
      const headers = allowed(options.allowHeaders, asked.headers, allowCredentials)
      return [
        ...originFields(origin),
        ...(methods === undefined ? [] : ['access-control-allow-methods', methods]),
        ...(headers === undefined ? [] : ['access-control-allow-headers', headers]),
        ...age,
      ]
    },
  }
}

/** To browsers `*` is a name like any other once credentials are allowed: then what was asked for is named. */
function allowed(
  list: readonly string[] | undefined,
  asked: string | undefined,
  byName: boolean,
): string | undefined {
  if (list === undefined || list.length === 0) return undefined
  return list.includes('*') && byName ? asked : list.join(',')
}

/** `*` in a pattern stands for any text; scheme and host are compared in any case. */
function originTest(patterns: readonly string[]): (origin: string) => boolean {
  const tests = patterns.map((pattern) => wildcard(pattern, { ignoreCase: true, single: false }))
  return (origin) => tests.some((test) => test.test(origin))
}
