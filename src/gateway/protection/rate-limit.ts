import { FlexiError } from '../../core/errors.ts'
import type { RateLimit } from '../../core/route.ts'

/** Keys remembered at once. Beyond it the one that was longest not heard of is forgotten, as nginx does with its zone. */
const KEYS_MAX = 65_536

/** Counts the requests of each key against a rate. */
export interface RateLimiter {
  /** @throws FlexiError FLEXI_RATE_LIMIT for a request that comes too early; it does not count. */
  admit(key: string): void
}

/**
 * A leaky bucket for each key, with the arithmetic of nginx's `limit_req … nodelay`: one request each `perMs / requests`, and
 * `burst` more that may come before their time. A fixed window, as libraries count, would let twice the rate through at its edge.
 */
export function openRateLimiter(
  { requests, perMs, burst = 0 }: RateLimit,
  now: () => number = () => performance.now(),
): RateLimiter {
  const intervalMs = perMs / requests
  const toleranceMs = burst * intervalMs
  /** When each key's next request is due. In the order of last use, which is nearly that of their ends. */
  const due = new Map<string, number>()
  const policy = `"default";q=${requests};w=${Math.max(1, Math.round(perMs / 1_000))}`
  return {
    admit(key) {
      const time = now()
      const dueAt = Math.max(due.get(key) ?? 0, time)
      const earlyMs = dueAt - time - toleranceMs
      // Sums of fractions of a millisecond are a little off.
      if (earlyMs > ROUNDING_MS) throw tooMany(earlyMs, policy)
      due.delete(key)
      forget(due, time)
      due.set(key, dueAt + intervalMs)
    },
  }
}

const ROUNDING_MS = 1e-6

/** Drops what no longer matters, two at a time, so that no request pays for many. */
function forget(due: Map<string, number>, time: number): void {
  let dropped = 0
  for (const [key, dueAt] of due) {
    if (dropped === 2 || (dueAt > time && due.size < KEYS_MAX)) return
    due.delete(key)
    dropped++
  }
}

/** Fields as in draft-ietf-httpapi-ratelimit-headers-10. */
function tooMany(waitMs: number, policy: string): FlexiError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000))
  return new FlexiError('FLEXI_RATE_LIMIT', 'too many requests', {
    retryAfterSeconds: seconds,
    answerFields: { 'RateLimit-Policy': policy, RateLimit: `"default";r=0;t=${seconds}` },
  })
}
