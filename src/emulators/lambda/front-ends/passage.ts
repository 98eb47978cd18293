import type { RequestContext } from '../../../core/fetcher.ts'
import type { ApiKey, RouteOptions } from './route-options.ts'

/** Who an authorizer says is asking. */
export type Authorized =
  | {
      readonly kind: 'lambda'
      readonly principalId: string | undefined
      readonly context: Readonly<Record<string, unknown>>
      readonly tookMs: number
    }
  | {
      readonly kind: 'jwt'
      readonly claims: Readonly<Record<string, string>>
      readonly scopes: readonly string[] | undefined
    }

/** What an endpoint learnt of a request before it let it through to its function. */
export interface Passage {
  readonly authorized?: Authorized | undefined
  readonly apiKey?: ApiKey | undefined
  /** The options that count in place of the matched route's. */
  readonly route?: RouteOptions | undefined
  /** False for a function URL that is not to stream. */
  readonly streams?: boolean | undefined
  /** CORS fields of the answer: name, value, name, value … Defined, those of the function do not count. */
  readonly corsFields?: readonly string[] | undefined
  /** Version or alias that the address stands for: part of the ARN that the function sees. */
  readonly qualifier?: string | undefined
}

const passages = new WeakMap<RequestContext, Passage>()

export function letPass(context: RequestContext, passage: Passage): void {
  passages.set(context, passage)
}

/** Undefined where nothing stands before the function. */
export function passageOf(context: RequestContext): Passage | undefined {
  return passages.get(context)
}
