import type { FixedAnswer } from '../../../core/function.ts'
import type { RouteRule } from '../../../core/route.ts'
import { isRouteOptions, isWebSocketOptions, type FrontEndName } from './route-options.ts'

/** What API Gateway answers to a path or a method that an API does not have. A project of several kinds of API has no one answer. */
export function noRoute(routes: readonly RouteRule[]): FixedAnswer | undefined {
  // What is no handshake belongs to the other APIs of the project.
  const asked = routes.filter(({ options }) => !isWebSocketOptions(options))
  const kinds = new Set(asked.map(({ options }) => (isRouteOptions(options) ? options.frontEnd : undefined)))
  const [kind] = kinds
  return kind === undefined || kinds.size > 1 ? undefined : ANSWERS[kind]
}

const ANSWERS: Readonly<Partial<Record<FrontEndName, FixedAnswer>>> = {
  'http-api': { status: 404, contentType: 'application/json', body: '{"message":"Not Found"}' },
  'rest-api': {
    status: 403,
    contentType: 'application/json',
    fields: ['x-amzn-errortype', 'MissingAuthenticationTokenException'],
    body: '{"message":"Missing Authentication Token"}',
  },
}
