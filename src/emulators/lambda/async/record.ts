import type { TargetMessage } from '../service/service.ts'
import { textOf, type AsyncEvent, type Outcome } from './async-event.ts'

/** Bytes of an error's message in an attribute. */
const MESSAGE_BYTES_MAX = 1024

export interface RecordOptions {
  readonly functionArn: string
  /** ms since the epoch. */
  readonly time: number
  /** Without what came in and what came out, for a target that has no room for it. */
  readonly bare?: boolean | undefined
}

/** What a destination is told, as JSON text: the payloads stand in it as they were. Source: Lambda guide, records of invocations. */
export function invocationRecord(outcome: Outcome, { functionArn, time, bare }: RecordOptions): string {
  const { event, condition, attempts, invoked } = outcome
  const head = JSON.stringify({
    version: '1.0',
    timestamp: new Date(time).toISOString(),
    requestContext: { requestId: event.id, functionArn, condition, approximateInvokeCount: attempts },
  })
  const members = [head.slice(0, -1)]
  if (bare !== true) members.push(`"requestPayload":${requestJson(event)}`)
  if (invoked !== undefined) {
    const { executedVersion, functionError } = invoked
    members.push(`"responseContext":${JSON.stringify({ statusCode: 200, executedVersion, functionError })}`)
    if (bare !== true) members.push(`"responsePayload":${asJson(textOf(invoked.payload))}`)
  }
  return `${members.join(',')}}`
}

/** What a dead-letter queue or topic gets: the event as it came, and why it is there. Source: Lambda guide, dead-letter queues. */
export function deadLetter(outcome: Outcome): TargetMessage {
  const { event, invoked } = outcome
  return {
    body: requestJson(event),
    attributes: {
      RequestID: { type: 'String', value: event.id },
      ErrorCode: { type: 'Number', value: invoked === undefined ? '429' : '200' },
      ErrorMessage: { type: 'String', value: cut(errorMessageOf(outcome)) },
    },
  }
}

/** What the function said went wrong, or why it never ran. */
export function errorMessageOf({ invoked, condition }: Outcome): string {
  if (invoked === undefined) return condition === 'EventAgeExceeded' ? 'Event age exceeded' : 'Rate Exceeded.'
  const text = textOf(invoked.payload)
  const message = member(text, 'errorMessage')
  // An attribute may not be empty.
  return message === undefined || message === '' ? (member(text, 'errorType') ?? 'Unhandled') : message
}

function requestJson({ payload }: AsyncEvent): string {
  return payload.length === 0 ? '{}' : asJson(textOf(payload))
}

/** Text that is no JSON becomes one. */
function asJson(text: string): string {
  try {
    JSON.parse(text)
    return text
  } catch {
    return JSON.stringify(text)
  }
}

function member(text: string, name: string): string | undefined {
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json !== 'object' || json === null) return undefined
    const value: unknown = Reflect.get(json, name)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** Not within a character. */
function cut(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= MESSAGE_BYTES_MAX) return text
  let end = MESSAGE_BYTES_MAX
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return bytes.subarray(0, end).toString()
}
