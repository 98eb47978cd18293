import { FlexiError, type ErrorCode } from '../../core/errors.ts'
import { logTailOf } from '../functions/log-tail.ts'
import type { ApiErrorBody } from './schemas/daemon.ts'

/** What a request is refused with. */
export interface Refusal {
  readonly status: number
  readonly body: ApiErrorBody
  readonly fields?: Readonly<Record<string, string>> | undefined
}

/** Statuses of codes that mean something else to a client of this API than to one of a function. */
const API_STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = {
  FLEXI_CONFIG: 422,
  FLEXI_BUILD: 422,
  FLEXI_FUNCTION_INIT: 500,
  FLEXI_FUNCTION_ERROR: 500,
  FLEXI_FUNCTION_CRASHED: 500,
  FLEXI_FUNCTION_TIMEOUT: 500,
  FLEXI_FUNCTION_MEMORY: 500,
}

/** Thrown where a request cannot be understood; its statuses have no codes of their own. */
export class RefusedRequest extends Error {
  readonly refusal: Refusal

  constructor(status: number, body: ApiErrorBody, fields?: Readonly<Record<string, string>>) {
    super(body.error)
    this.refusal = { status, body, fields }
  }
}

/** What an error is told as; undefined for one that is our bug, of which nothing is told. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof RefusedRequest) return error.refusal
  if (!(error instanceof FlexiError) || error.code === 'FLEXI_BUG') return undefined
  const { code, message, hint, retryAfterSeconds, answerFields } = error
  const log = logTailOf(error)
  return {
    status: API_STATUSES[code] ?? error.status,
    body: {
      error: message,
      code,
      ...(hint === undefined ? {} : { hint }),
      ...(log.length === 0 ? {} : { log: [...log] }),
    },
    fields: {
      ...answerFields,
      ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }),
    },
  }
}

/** Where nothing may be told but where to look. */
export function bugRefusal(requestId: string): Refusal {
  return {
    status: 500,
    body: { error: 'internal error', code: 'FLEXI_BUG', hint: `See the daemon's log for ${requestId}.` },
  }
}
