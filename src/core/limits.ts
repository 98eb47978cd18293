/**
 * Everything that can grow has its limit here, with its unit in the name.
 * Reaching one is an answer with a code, never a hang or a crash.
 */
export const LIMITS = {
  /** Instances of one function at once when each serves one request at a time. */
  instancesMax: 32,
  /** Requests of one function that wait for an instance; the next one gets 503. */
  queueLengthMax: 1_000,
  /** How long a request may wait for an instance before it gets 503. */
  queueWaitMs: 60_000,
  /** A queued request that has waited this long is worth another instance: shorter would start processes a busy instance makes needless. */
  scaleOutAfterMs: 15,
  /** An instance that nobody used for so long is closed; one is always kept. LocalStack's and AWS's order of magnitude. */
  idleInstanceMs: 600_000,
  /** Lambda's Init limit. */
  initMs: 10_000,
  /** What a request may take when neither its function nor the configuration says. */
  requestMs: 60_000,
  /** How long an old revision may finish what it holds. */
  drainMs: 30_000,
  /** How long a process of the daemon may finish what it holds after another has taken over. */
  retireMs: 3_600_000,
  /** Quiet time after a file event before it is acted on. Editors write in bursts. */
  debounceMs: 10,
  /** The same for a single source file: editors write it in one piece, and the same source built twice is no second reload. */
  debounceSourceMs: 3,
  /** Request bytes that flexi itself buffers for event-shaped functions and native libraries. */
  bodyBytesMax: 64 * 1024 * 1024,
  /** Head of a request: Node's own limit (431 beyond). */
  headBytesMax: 16 * 1024,
  /** One line a function prints; the rest is cut. */
  logLineBytesMax: 256 * 1024,
  /** First delay before a crashed instance is started again; doubles up to `restartDelayMaxMs`. */
  restartDelayMs: 50,
  restartDelayMaxMs: 5_000,
} as const
