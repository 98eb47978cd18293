import { STATUS_CODES } from 'node:http'

import type { ErrorCode } from '../core/errors.ts'

/** What went wrong, for programs: RFC 9457. */
export interface Problem {
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly hint?: string | undefined
  readonly requestId: string
}

/** The body of an `application/problem+json` answer. */
export function problemText({ status, detail, code, hint, requestId }: Problem): string {
  const title = STATUS_CODES[status] ?? 'Error'
  return `${JSON.stringify({ type: 'about:blank', title, status, detail, code, hint, requestId })}\n`
}
