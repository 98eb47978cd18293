import type { Definition } from './definition.ts'
import type { Outcome } from './environments/environment.ts'
import { failureOf, tooLargeFailure, type Failure } from './fault.ts'
import { RESPONSE_BYTES_MAX } from './limits.ts'

/** What came of an invocation, as its caller is told. */
export type Settled =
  | { readonly kind: 'result'; readonly payload: Buffer; readonly body?: Buffer | undefined }
  | { readonly kind: 'streamed' }
  /** It has not begun here, and may be run elsewhere. */
  | { readonly kind: 'recalled' }
  | ({ readonly kind: 'failed' } & Failure)

/** Who waits for an invocation. */
export interface Caller {
  streamStarted(contentType: string): void
  streamChunk(bytes: Buffer, taken: () => void): void
  settled(outcome: Settled): void
  /** It is over: the environment is free, and its last lines are said within a turn. Not called for one that was recalled. */
  completed?(): void
  /** Gets every line of the log, as Lambda writes it. */
  logged?(line: string): void
}

/** What an environment said, as its caller is told. */
export function settledOf(outcome: Outcome, definition: Definition, requestId: string | undefined): Settled {
  const about = { kind: 'throw', requestId } as const
  switch (outcome.kind) {
    case 'error':
      return { kind: 'failed', ...failureOf(outcome.payload, definition, about) }
    case 'too-large':
      return { kind: 'failed', ...tooLargeFailure(definition, requestId) }
    case 'streamed':
      return outcome.error === undefined
        ? { kind: 'streamed' }
        : { kind: 'failed', ...failureOf(outcome.error, definition, about) }
    case 'result':
      return outcome.payload.length <= RESPONSE_BYTES_MAX
        ? outcome
        : { kind: 'failed', ...tooLargeFailure(definition, requestId, outcome.payload.length) }
  }
}
