/** What the server and the Node host tell each other over the channel. The frame's id is the invocation's number, 0 outside of one. */
export const TO_HOST = {
  /** Payload: HostInit as JSON. Once, first. */
  init: 1,
  /** Payload: the head's fields, tab-separated, a line feed, and the event's JSON. */
  invoke: 2,
  /** Payload: how many bytes of a stream were passed on, as decimal text. */
  taken: 3,
  /** The invocation of this number is wanted back, if it has not begun. */
  recall: 4,
} as const

export const FROM_HOST = {
  ready: 1,
  /** Payload: LambdaError as JSON. The process ends after it. */
  initError: 2,
  /** Payload: the result's JSON. */
  result: 3,
  /** Payload: LambdaError as JSON. The environment lives on. */
  error: 4,
  /** Payload: the stream's content type. */
  streamStart: 5,
  streamChunk: 6,
  /** Payload: empty, or LambdaError as JSON when the stream broke. */
  streamEnd: 7,
  /** Payload: a digit, the index in `CONSOLE_LEVELS`; a letter of `LOG_FORMATS`; the text. */
  log: 8,
  /** Payload: LambdaError as JSON. Nobody caught it, and the process ends after it. */
  fatal: 9,
  /** The invocation of this number has not begun, and will not. */
  recalled: 10,
  /** Payload: the result's JSON with an empty `body`, a line feed, and the body's text. Only where the invocation says `bodyApart`. */
  resultApart: 11,
} as const

/** `text` still wants its time and request before it, `whole` is a line, `notice` is text that repeats what a failure already tells. */
export const LOG_FORMATS = { text: 't', whole: 'j', notice: 'n' } as const
export type LogFormat = keyof typeof LOG_FORMATS

export const CONSOLE_LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] as const
export type ConsoleLevel = (typeof CONSOLE_LEVELS)[number]

/** Bytes of a stream that may be under way before the host waits for `taken`. */
export const STREAM_WINDOW_BYTES = 256 * 1024

/** The head of an invocation: `id TAB deadline TAB trace TAB clientContext TAB functionArn TAB bodyApart`. No field holds a tab or a line feed. */
export interface InvokeHead {
  readonly id: string
  readonly deadline: string
  readonly trace: string
  /** URI-encoded JSON, or empty. */
  readonly clientContext: string
  /** Empty where the caller named no version or alias. */
  readonly functionArn: string
  /** `1` where `resultApart` may be sent. */
  readonly bodyApart: string
}

/** Where the handler's code is. */
export type HandlerCode =
  /** A file that Node loads by its own rules. */
  | { readonly kind: 'file'; readonly path: string }
  /** CommonJS text that is compiled as if it lay at `path`. */
  | { readonly kind: 'text'; readonly path: string; readonly text: string }

export interface HostInit {
  /** Variables that are known only now; the rest came with the process. */
  readonly environment: Readonly<Record<string, string>>
  readonly code: HandlerCode
  /** What is looked up in the module: `handler`, `api.get`. */
  readonly exportPath: string
  /** The handler as configured, for messages. */
  readonly handler: string
  readonly context: HostContext
  /** Waits at this port for a debugger, and stops before the first line of the code. */
  readonly breakAt?: number | undefined
}

/** What the context object says besides its request. */
export interface HostContext {
  readonly functionName: string
  readonly functionVersion: string
  readonly memoryLimitInMB: string
  readonly logGroupName: string
  readonly logStreamName: string
  readonly invokedFunctionArn: string
  /** Handlers may answer through a callback or the context: up to nodejs22.x. */
  readonly callbacks: boolean
}

/** What callers get of a failure: Lambda's error object of the Node runtime. */
export interface LambdaError {
  readonly errorType: string
  readonly errorMessage: string
  readonly trace?: readonly string[]
}
