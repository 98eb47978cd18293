import type { Logger } from '../../../../core/log.ts'
import type { StreamSource } from '../../service/event-source.ts'
import type { Targets } from '../../service/service.ts'
import type { Clock } from '../clock.ts'
import type { Target } from '../run-batch.ts'
import type { SourceState } from '../source-state.ts'
import type { Checkpoints } from './checkpoints.ts'
import type { StreamAccess, StreamRecord } from './stream-access.ts'
import type { Waker } from './waker.ts'

/** What everything that works on one stream for one function has in common. */
export interface StreamContext {
  readonly source: StreamSource
  /** What its filters say. */
  readonly accepts: (record: StreamRecord['content']) => boolean
  readonly access: StreamAccess
  readonly target: Target
  /** For records of failures. */
  readonly functionArn: string
  readonly targets: Targets
  /** Of the mapping. */
  readonly uuid: string
  /** Where a bucket is. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly checkpoints: Checkpoints
  readonly state: SourceState
  readonly clock: Clock
  readonly log: Logger
  /** Ends everything, after the invocations under way. */
  readonly signal: AbortSignal
  /** Ends the waits before another attempt: the function is another one now. */
  readonly waker: Waker
}
