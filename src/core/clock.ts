/** The time, and a wait for it: a test has its own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls once, after `ms`; what it returns takes that back. */
  after(ms: number, call: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms)
    return () => clearTimeout(timer)
  },
}
