import type { FlexiError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Generation, Slot } from './generation.ts'

export interface PoolOptions {
  readonly name: string
  readonly log: Logger
  readonly limits?: Partial<PoolLimits>
  /** A request finds no code: whether there is some now. Resolves when that is settled; never rejects. */
  readonly mend?: (() => Promise<void>) | undefined
}

export type PoolLimits = Record<
  | 'instancesMax'
  | 'queueLengthMax'
  | 'queueWaitMs'
  | 'scaleOutAfterMs'
  | 'idleInstanceMs'
  | 'drainMs'
  | 'restartDelayMs'
  | 'restartDelayMaxMs',
  number
>

export interface PoolState {
  readonly revision: string | undefined
  readonly instances: number
  readonly inFlight: number
  readonly queued: number
  /** Generations that still finish what they hold. */
  readonly draining: number
  readonly counts: Readonly<PoolCounts>
}

/** Since the pool was made, over all revisions. */
export interface PoolCounts {
  /** Instances that could answer (cold starts), and how long they took to, in ms, together. */
  started: number
  startedMs: number
  /** Instances that could not be started. */
  startFailed: number
  /** Instances that ended by themselves: crashed, ran out of memory, were ended for a time-out. */
  ended: number
  /** Requests turned away because too many waited, or waited too long. */
  refused: number
}

export function noCounts(): PoolCounts {
  return { started: 0, startedMs: 0, startFailed: 0, ended: 0, refused: 0 }
}

export interface Waiter {
  readonly since: number
  /** Takes only an instance that is free. */
  readonly free: boolean
  /** The client left while waiting: its turn is passed on. */
  gone(): boolean
  resolve(slot: Slot): void
  reject(error: FlexiError): void
}

export interface GenerationOptions {
  /** Of the function, for messages. */
  readonly name: string
  readonly limits: PoolLimits
  readonly log: Logger
  readonly counts: PoolCounts
  /** An instance can take a request: it has started, or one of its leases was returned. */
  onFree(): void
  onStartFailed(generation: Generation, error: FlexiError): void
}
