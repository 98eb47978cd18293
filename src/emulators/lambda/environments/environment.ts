import type { ChildExit } from '../../../instances/child.ts'
import type { ConsoleLevel, LogFormat } from '../protocol.ts'
import type { Report } from '../report.ts'

/** One event on its way into user code. */
export interface Invocation {
  /** Lambda's awsRequestId. */
  readonly id: string
  /** The event's JSON, in parts that are sent as one. */
  readonly event: string | Uint8Array
  /** Milliseconds since the epoch. */
  readonly deadline: number
  /** X-Ray's header value. */
  readonly trace: string
  /** JSON text. */
  readonly clientContext?: string | undefined
  /** The caller takes a large body beside the rest of its result. */
  readonly bodyApart?: boolean | undefined
  /** With the qualifier that the caller named, where it named one. */
  readonly functionArn?: string | undefined
}

/** What came of an invocation. `error` bodies are Lambda error objects as JSON, and reach the caller untouched. */
export type Outcome =
  /** `body`: the text of the payload's `body`, which is empty there. */
  | { readonly kind: 'result'; readonly payload: Buffer; readonly body?: Buffer | undefined }
  | {
      readonly kind: 'error'
      readonly payload: Buffer
      /** As the platform calls it, where the runtime said: `Runtime.Unknown`. */
      readonly errorType?: string | undefined
      /** X-Ray's view of it, as JSON. */
      readonly cause?: string | undefined
    }
  /** The result was larger than one may be, and was not kept. */
  | { readonly kind: 'too-large' }
  /** The chunks were the result. `error` is set when the stream broke. */
  | { readonly kind: 'streamed'; readonly error: Buffer | undefined }

/** What an environment says. Between two invocations, and before the first, only `printed` and `gone` come. */
export interface EnvironmentEvents {
  streamStarted(contentType: string): void
  /** `taken` is called when the bytes were passed on; the sender waits when too many are under way. */
  streamChunk(bytes: Buffer, taken: () => void): void
  done(outcome: Outcome): void
  /** An error that nobody caught; the environment ends after it. */
  fatal(payload: Buffer): void
  printed(line: PrintedLine): void
  /** It asks for the next invocation. Only where `Environment.polls`, and after `done`. */
  idle(): void
  recalled(): void
  gone(exit: ChildExit): void
}

export interface PrintedLine {
  readonly stream: 'stdout' | 'stderr'
  /** Undefined for what was written past the console: it has no level of its own. */
  readonly level: ConsoleLevel | undefined
  readonly text: string
  readonly format: LogFormat
}

/** One execution environment, whatever runs in it. It takes one invocation at a time. */
export interface Environment {
  /** Undefined as long as no process was started. */
  readonly pid: number | undefined
  /** The runtime asks for each invocation by itself, and may still be at work when it has answered. */
  readonly polls?: boolean | undefined
  /** Loads the code. Resolves when it can take an invocation, or with the error body when it cannot. */
  initialise(events: EnvironmentEvents): Promise<{ readonly error: Buffer | undefined }>
  invoke(invocation: Invocation): void
  /**
   * Wants the invocation back that was handed over last, while another one runs. `recalled` tells when it had not begun; nothing tells
   * when it had. Absent where only one may be handed over at a time.
   */
  recall?(): void
  /** An invocation is over, and this is its REPORT. */
  reported?(report: Report): void
  /** Asks it to end by itself. False when it has ended. */
  terminate?(): boolean
  /** Ends it at once, with everything it started. Resolves when it is gone. */
  kill(): Promise<void>
}
