import type { FlexiError } from '../core/errors.ts'
import type { Instance } from '../core/function.ts'
import type { Logger } from '../core/log.ts'
import type { Generation } from './generation.ts'

export interface PoolOptions {
  readonly name: string
  readonly log: Logger
  readonly limits?: Partial<PoolLimits>
  /** A request finds no code: whether there is some now. Resolves when that is settled; never rejects. */
  readonly mend?: (() => Promise<void>) | undefined
  /** Told of what happens to instances, as it happens. */
  readonly onChange?: ((change: PoolChange) => void) | undefined
}

/** What happens to the instances of a pool. */
export type PoolChange =
  | { readonly kind: 'starting' }
  | { readonly kind: 'started'; readonly durationMs: number }
  | { readonly kind: 'start-failed'; readonly error: FlexiError }
  /** By itself; without an error it came to its end as programs do that have nothing left to do. */
  | { readonly kind: 'ended'; readonly error: Error | undefined }
  /** It ended too often: the next start comes after so many ms, or undefined when somebody asks. */
  | { readonly kind: 'resting'; readonly againMs: number | undefined }
  /** Nobody used it. */
  | { readonly kind: 'retired' }

export type PoolLimits = Record<
  | 'instancesMax'
  | 'queueLengthMax'
  | 'queueWaitMs'
  | 'scaleOutAfterMs'
  | 'idleInstanceMs'
  /** Instances that stay however long nobody asks; one unless said otherwise. With none, one is there when somebody asks. */
  | 'instancesKept'
  | 'drainMs'
  | 'restartDelayMs'
  | 'restartDelayMaxMs',
  number
>

export interface PoolState {
  readonly revision: string | undefined
  readonly instances: number
  /** Instances that will be there as soon as they can answer. */
  readonly starting: number
  readonly inFlight: number
  /** Connections that changed their protocol and are open. */
  readonly sockets: number
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

/** One instance and what it is doing. */
export interface Slot {
  readonly instance: Instance
  readonly generation: Generation
  inFlight: number
  /** Open connections that changed their protocol. */
  sockets: number
  /** Leases that ended while it lived. */
  served: number
  /** When its last lease began or ended, on the clock of `performance.now()`. */
  usedAt: number
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
  readonly onChange: ((change: PoolChange) => void) | undefined
}
