/** A request to a path that somebody mounted beside the Runtime API. */
export interface MountedCall {
  readonly method: string
  /** Whole, with its query. */
  readonly path: string
  /** By lower-case name. */
  readonly fields: ReadonlyMap<string, string>
  readonly body: Buffer
  /** Called when the client leaves before it was answered; set it where the answer may take long. */
  onClosed?: (() => void) | undefined
}

/** Sends the answer, once; what comes after that, or after the client has left, is dropped. The length is set. */
export type MountedAnswer = (
  status: number,
  fields: Readonly<Record<string, string>>,
  body: string | Buffer,
) => void

/** Answers now or much later. */
export type MountedHandler = (call: MountedCall, answer: MountedAnswer) => void
