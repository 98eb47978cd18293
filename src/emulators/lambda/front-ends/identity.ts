import { queryValues, splitTarget, type FrontEndRequest } from './front-end.ts'
import type { RouteOptions } from './route-options.ts'

/** One place of a request that says who asks. */
export interface IdentitySource {
  readonly from: 'header' | 'querystring' | 'stageVariables' | 'context'
  readonly name: string
}

const FORMS = [
  [/^(?:method\.|route\.|\$)?request\.header\.(.+)$/i, 'header'],
  [/^(?:method\.|route\.|\$)?request\.querystring\.(.+)$/i, 'querystring'],
  [/^\$?stageVariables\.(.+)$/i, 'stageVariables'],
  [/^\$?context\.(.+)$/i, 'context'],
] as const

/** `method.request.header.X`, `route.request.header.X`, `$request.querystring.X` …; anything else is the name of a field. */
export function parseIdentitySource(text: string): IdentitySource {
  for (const [form, from] of FORMS) {
    const name = form.exec(text.trim())?.[1]
    if (name !== undefined) return { from, name }
  }
  return { from: 'header', name: text.trim() }
}

/** What the request says there; undefined when it says nothing. */
export function identityOf(
  { from, name }: IdentitySource,
  request: Pick<FrontEndRequest, 'context'>,
  options: IdentityRoute,
): string | undefined {
  const value = VALUES[from](name, request, options)
  return value === '' ? undefined : value
}

type IdentityRoute = Pick<RouteOptions, 'stageVariables' | 'resource' | 'routeKey' | 'stage'>

type Reader = (
  name: string,
  request: Pick<FrontEndRequest, 'context'>,
  options: IdentityRoute,
) => string | undefined

const VALUES = {
  header: (name, { context }) => fieldOf(context.raw.fields, name),
  querystring: (name, { context }) => queryValues(splitTarget(context.raw.target).query).get(name)?.at(-1),
  stageVariables: (name, _request, { stageVariables }) => stageVariables?.[name],
  context: (name, { context }, options) => {
    const known: Readonly<Record<string, string | undefined>> = {
      httpMethod: context.raw.method,
      path: splitTarget(context.raw.target).path,
      resourcePath: options.resource,
      routeKey: options.routeKey,
      stage: options.stage,
      'identity.sourceIp': context.clientAddress,
      'identity.userAgent': fieldOf(context.raw.fields, 'user-agent'),
    }
    return known[name]
  },
} as const satisfies Record<IdentitySource['from'], Reader>

/** The first field of that name, in any case. */
export function fieldOf(fields: readonly string[], name: string): string | undefined {
  const wanted = name.toLowerCase()
  for (let index = 0; index < fields.length; index += 2)
    if ((fields[index] ?? '').toLowerCase() === wanted) return fields[index + 1]
  return undefined
}
