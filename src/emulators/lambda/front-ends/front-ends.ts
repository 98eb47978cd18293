import type { RequestContext } from '../../../core/fetcher.ts'
import { alb } from './alb.ts'
import { routeOptions, type FrontEnd } from './front-end.ts'
import { functionUrl } from './function-url.ts'
import { httpApi } from './http-api.ts'
import { restApi } from './rest-api.ts'
import type { FrontEndName } from './route-options.ts'

const FRONT_ENDS = {
  'function-url': functionUrl,
  'http-api': httpApi,
  'rest-api': restApi,
  alb,
} as const satisfies Record<FrontEndName, FrontEnd>

/** A function's own address is a function URL; a route says itself what it is. */
export function frontEndOf(context: RequestContext): FrontEnd {
  return FRONT_ENDS[routeOptions(context)?.frontEnd ?? 'function-url']
}
