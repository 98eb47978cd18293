import type { FlexiError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Slot } from './generation.ts'

export interface PoolOptions {
  readonly name: string
  readonly log: Logger
  readonly limits?: Partial<PoolLimits>
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
}

export interface Waiter {
  readonly since: number
  /** Takes only an instance that is free. */
  readonly first: boolean
  /** The client left while waiting: its turn is passed on. */
  gone(): boolean
  resolve(slot: Slot): void
  reject(error: FlexiError): void
}
