import { formatFault, type Fault } from './place.ts'

/**
 * Every code flexi reports, with the status an HTTP client sees and the status a shell sees.
 * Exit codes follow sysexits.h: 64 usage (oclif's 2 is kept), 65 bad data, 66 no input, 69 unavailable, 70 our bug,
 * 77 no permission, 78 configuration.
 */
export const ERROR_CODES = {
  FLEXI_CONFIG: { status: 500, exit: 78 },
  FLEXI_BUILD: { status: 500, exit: 1 },
  FLEXI_USAGE: { status: 400, exit: 2 },
  FLEXI_NO_INPUT: { status: 404, exit: 66 },
  FLEXI_PORT_TAKEN: { status: 500, exit: 69 },
  FLEXI_TOOL_MISSING: { status: 500, exit: 69 },
  FLEXI_NO_ROUTE: { status: 404, exit: 66 },
  FLEXI_FUNCTION_UNKNOWN: { status: 404, exit: 66 },
  FLEXI_FUNCTION_INIT: { status: 502, exit: 1 },
  FLEXI_FUNCTION_ERROR: { status: 502, exit: 1 },
  FLEXI_FUNCTION_CRASHED: { status: 502, exit: 1 },
  FLEXI_FUNCTION_TIMEOUT: { status: 504, exit: 1 },
  FLEXI_FUNCTION_MEMORY: { status: 502, exit: 1 },
  FLEXI_FUNCTION_RESULT: { status: 502, exit: 1 },
  FLEXI_THROTTLED: { status: 429, exit: 69 },
  FLEXI_QUEUE_FULL: { status: 503, exit: 69 },
  FLEXI_NOT_STARTED: { status: 503, exit: 1 },
  FLEXI_SHUTTING_DOWN: { status: 503, exit: 69 },
  FLEXI_BODY_TOO_LARGE: { status: 413, exit: 1 },
  FLEXI_FIELDS_TOO_LARGE: { status: 431, exit: 1 },
  FLEXI_RATE_LIMIT: { status: 429, exit: 1 },
  FLEXI_BAD_REQUEST: { status: 400, exit: 1 },
  FLEXI_FORBIDDEN: { status: 403, exit: 1 },
  FLEXI_UNAUTHENTICATED: { status: 401, exit: 77 },
  FLEXI_CONFLICT: { status: 409, exit: 1 },
  FLEXI_UPLOAD: { status: 400, exit: 65 },
  FLEXI_QUOTA: { status: 413, exit: 1 },
  FLEXI_SIGNATURE: { status: 403, exit: 77 },
  FLEXI_SANDBOX: { status: 503, exit: 69 },
  FLEXI_DEPLOY: { status: 422, exit: 1 },
  FLEXI_DAEMON: { status: 502, exit: 69 },
  FLEXI_CLIENT_GONE: { status: 499, exit: 1 },
  FLEXI_UPSTREAM_UNREACHABLE: { status: 502, exit: 69 },
  FLEXI_UPSTREAM_RESPONSE: { status: 502, exit: 69 },
  FLEXI_UPSTREAM_TIMEOUT: { status: 504, exit: 69 },
  FLEXI_UPSTREAM_DOWN: { status: 503, exit: 69 },
  FLEXI_UPSTREAM_LOOP: { status: 508, exit: 69 },
  FLEXI_BUG: { status: 500, exit: 70 },
} as const satisfies Record<string, { readonly status: number; readonly exit: number }>

export type ErrorCode = keyof typeof ERROR_CODES

export interface FlexiErrorOptions {
  /** One action in the imperative. */
  readonly hint?: string
  readonly cause?: unknown
  readonly faults?: readonly Fault[]
  /** Seconds after which asking again makes sense; sent as Retry-After. */
  readonly retryAfterSeconds?: number
  /** Whoever reads the log has been told already, as a fault: it is not a warning of its own. */
  readonly reported?: boolean
  /** More fields of the answer, by name. */
  readonly answerFields?: Readonly<Record<string, string>>
}

/**
 * What a person can fix. Anything else that is thrown is our bug.
 * `code`, `suggestions` and `oclif.exit` are the fields oclif prints unaided.
 */
export class FlexiError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly faults: readonly Fault[]
  readonly retryAfterSeconds: number | undefined
  readonly reported: boolean
  readonly answerFields: Readonly<Record<string, string>>

  constructor(code: ErrorCode, message: string, options: FlexiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'FlexiError'
    this.code = code
    this.hint = options.hint
    this.faults = options.faults ?? []
    this.retryAfterSeconds = options.retryAfterSeconds
    this.reported = options.reported ?? false
    this.answerFields = options.answerFields ?? {}
  }

  get status(): number {
    return ERROR_CODES[this.code].status
  }

  get oclif(): { exit: number } {
    return { exit: ERROR_CODES[this.code].exit }
  }

  get suggestions(): string[] {
    return this.hint === undefined ? [] : [this.hint]
  }
}

/** All faults of one or more files in one error, so that a person sees and mends them at once. */
export function configError(faults: readonly Fault[]): FlexiError {
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`
  return new FlexiError(
    'FLEXI_CONFIG',
    `${count} in the configuration\n\n${faults.map(formatFault).join('\n\n')}`,
    { faults },
  )
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What was thrown, in our form; anything else than a FlexiError gets `code`, which is our bug unless a caller knows better. */
export function asFlexiError(error: unknown, code: ErrorCode = 'FLEXI_BUG'): FlexiError {
  return error instanceof FlexiError ? error : new FlexiError(code, errorMessage(error), { cause: error })
}
