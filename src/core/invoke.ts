/** The meaning of one invocation that is not HTTP. */
export interface InvokeContext {
  readonly id: string
  readonly deadline: number
  readonly signal: AbortSignal
  /** Lambda's ClientContext as JSON text. */
  readonly clientContext?: string | undefined
  /** X-Ray's header, when the caller sent one. */
  readonly trace?: string | undefined
  /** Version or alias, as the caller named it: part of the ARN that the function sees. */
  readonly qualifier?: string | undefined
  /** Nobody reads the log: it is not kept, and an instance that answers fast may be handed the invocation ahead, as a request. */
  readonly unlogged?: boolean | undefined
  /** Takes what a handler streams, as it comes; the result's payload is then empty. Without it the chunks are collected. */
  readonly stream?: InvokeStream | undefined
}

/** Who reads a streamed result while it is made. */
export interface InvokeStream {
  /** Before the first chunk. */
  started(contentType: string): void
  /** `taken` is called when the bytes were passed on; the handler waits when too many are under way. */
  chunk(bytes: Uint8Array, taken: () => void): void
}

export interface InvokeResult {
  readonly payload: Uint8Array
  readonly contentType: string
  /** Lambda's X-Amz-Function-Error. */
  readonly functionError?: 'Handled' | 'Unhandled' | undefined
  /** What the function and its platform printed during this invocation; empty for one that is `unlogged`. */
  readonly log: string
}
