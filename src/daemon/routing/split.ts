import type { RequestContext } from '../../core/fetcher.ts'
import { requestKey } from '../../forward/request-key.ts'
import { fieldValue } from '../../forward/request-line.ts'
import { hashText } from '../../upstreams/hash.ts'

/** One of two: the second has `weight` of all requests, 0 to 1. */
export interface Split<T> {
  readonly first: T
  readonly second: T
  readonly weight: number
  /** Its own for each alias, so that the clients who try one function's canary are not those who try all of them. */
  readonly salt: string
}

/** Field, or cookie, whose value keeps a client on one side. Without it each request is drawn by chance. */
const STICKY_NAME = 'flexi-version-key'

const COOKIE = { kind: 'cookie', name: STICKY_NAME } as const

/**
 * Equal keys always get the same side, and a weight that grows moves clients to the second and none back.
 * Without `context` (an invocation that is no request) chance decides.
 */
export function pick<T>({ first, second, weight, salt }: Split<T>, context: RequestContext | undefined): T {
  const key = context === undefined ? undefined : stickyKey(context)
  const point = key === undefined ? Math.random() : hashText(`${salt}\n${key}`) / TWO_TO_32
  return point < weight ? second : first
}

const TWO_TO_32 = 2 ** 32

function stickyKey(context: RequestContext): string | undefined {
  const { fields } = context.raw
  const field = (name: string): string | undefined => fieldValue(fields, name)
  return field(STICKY_NAME) ?? requestKey(COOKIE, context, field)
}
