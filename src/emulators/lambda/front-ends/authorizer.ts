import type { FrontEndRequest, HttpAnswer } from './front-end.ts'
import type { Authorized } from './passage.ts'
import { jsonAnswer } from './refusals.ts'
import type { FrontEndName, RouteOptions } from './route-options.ts'

/** What an authorizer says of a request. */
export type Verdict =
  | { readonly kind: 'allowed'; readonly authorized: Authorized }
  | { readonly kind: 'refused'; readonly why: AuthorizerRefusal; readonly fields?: readonly string[] }

/** `unauthorized`: who asks is not known. `broken`: the authorizer itself failed. */
type AuthorizerRefusal = 'unauthorized' | 'denied' | 'explicitly-denied' | 'broken'

export interface Authorizer {
  /** Never rejects. */
  judge(request: FrontEndRequest, options: RouteOptions): Promise<Verdict>
}

/** How an endpoint says that an authorizer did not let somebody through. */
export function authorizerAnswer(
  { why, fields = [] }: Extract<Verdict, { kind: 'refused' }>,
  frontEnd: FrontEndName,
): HttpAnswer {
  const answer = (frontEnd === 'rest-api' ? REST : HTTP)[why]
  return { ...answer, fields: [...answer.fields, ...fields] }
}

const NOT_AUTHORIZED = 'User is not authorized to access this resource'

const REST = {
  unauthorized: jsonAnswer(401, '{"message":"Unauthorized"}', 'UnauthorizedException'),
  denied: jsonAnswer(403, `{"Message":"${NOT_AUTHORIZED}"}`, 'AccessDeniedException'),
  'explicitly-denied': jsonAnswer(
    403,
    `{"Message":"${NOT_AUTHORIZED} with an explicit deny"}`,
    'AccessDeniedException',
  ),
  broken: jsonAnswer(500, '{"message":null}', 'AuthorizerConfigurationException'),
} as const satisfies Record<AuthorizerRefusal, HttpAnswer>

const forbidden = jsonAnswer(403, '{"message":"Forbidden"}')

const HTTP = {
  unauthorized: jsonAnswer(401, '{"message":"Unauthorized"}'),
  denied: forbidden,
  'explicitly-denied': forbidden,
  broken: jsonAnswer(500, '{"message":"Internal Server Error"}'),
} as const satisfies Record<AuthorizerRefusal, HttpAnswer>
