import type { FaultRule } from '../../forward/http1-forward.ts'
import type { ResponseHead } from '../../forward/http1-head.ts'
import { fieldValue } from '../../forward/request-line.ts'
import type { ThrownRecord } from './facade.ts'

/** The program threw; what its facade told about it. */
export class ThrownError extends Error {
  override readonly name = 'ThrownError'
  readonly record: ThrownRecord

  constructor(record: ThrownRecord) {
    super(record.message)
    this.record = record
  }
}

/** workerd answered in the program's place, which gave it nothing to answer with; its log tells why. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError'
}

/** A request that workerd has not answered yet. */
export interface Flight {
  /** `performance.now()`; moved on when the worker has proved that it only waits. */
  since: number
  /** Ends the request with this error before its head. */
  abort(error: Error): void
}

/** Of the mark of an answer that is workerd's own. */
const NO_ANSWER = ''
/** `Internal Server Error` */
const NO_ANSWER_BYTES = 21

/** Which answers are failures of the program, told by its facade with this field or by workerd itself. */
export function faultRule(faultField: string): FaultRule {
  return {
    markOf(head) {
      if (head.status !== 500) return undefined
      return fieldValue(head.fields, faultField) ?? (isNoAnswer(head) ? NO_ANSWER : undefined)
    },
    read: (content, mark) =>
      mark === NO_ANSWER ? new NoAnswerError('no answer') : readThrown(content, mark),
  }
}

/** workerd closes the connection after it, and names no type, as no program can. */
function isNoAnswer({ fields, length, reusable }: ResponseHead): boolean {
  return length === NO_ANSWER_BYTES && !reusable && fields.length === 4
}

/** The facade's record: the content of a marked answer, whose bytes stand as Latin-1, or for want of content the mark's own value. */
function readThrown(content: string, mark: string): Error {
  const text = content === '' ? decodeURIComponent(mark) : Buffer.from(content, 'latin1').toString()
  const record: unknown = JSON.parse(text)
  return new ThrownError(
    isRecord(record) ? record : { name: 'Error', message: 'a throw that was too long to tell' },
  )
}

function isRecord(value: unknown): value is ThrownRecord {
  return typeof value === 'object' && value !== null && 'message' in value
}
