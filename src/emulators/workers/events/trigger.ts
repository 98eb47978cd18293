import { randomUUID } from 'node:crypto'
import { text } from 'node:stream/consumers'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { Control, ControlAnswer, ControlRequest } from '../control/control.ts'

/** One event for a handler that is not `fetch`. */
export type TriggerEvent = ScheduledEvent | QueueEvent | EmailEvent

export interface ScheduledEvent {
  readonly kind: 'scheduled'
  readonly cron: string
  /** Milliseconds since 1970. */
  readonly scheduledTime: number
}

export interface QueueEvent {
  readonly kind: 'queue'
  readonly queue: string
  readonly messages: readonly QueueMessage[]
}

export interface QueueMessage {
  readonly id: string
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly attempts: number
  readonly body: unknown
  /** The body is bytes, in base64. */
  readonly encoding?: 'base64' | undefined
}

export interface EmailEvent {
  readonly kind: 'email'
  /** Of the envelope. */
  readonly from: string
  readonly to: string
  /** The message as it came, fields and body. */
  readonly raw: Uint8Array
}

/** How it ended: `ok`, `exception` when the handler threw, or workerd's word for what it ended itself. */
export interface TriggerResult {
  readonly outcome: string
  /** `scheduled`: it asked not to be tried again. */
  readonly noRetry?: boolean | undefined
  /** `queue`: what the consumer decided about its messages. */
  readonly ackAll?: boolean | undefined
  readonly retryBatch?: { readonly retry: boolean; readonly delaySeconds?: number | undefined } | undefined
  readonly explicitAcks?: readonly string[] | undefined
  readonly retryMessages?:
    | readonly { readonly msgId: string; readonly delaySeconds?: number | undefined }[]
    | undefined
  /** `email`: what the handler did with it. */
  readonly rejected?: string | undefined
  readonly forwarded?: readonly Forwarded[] | undefined
  readonly replies?: readonly Reply[] | undefined
  /** `email`: what it threw. */
  readonly error?: { readonly name: string; readonly message: string } | undefined
}

interface Forwarded {
  readonly to: string
  readonly fields: readonly (readonly [string, string])[]
}

export interface Reply {
  readonly from: string
  readonly to: string
  /** The message, in base64. */
  readonly raw: string
}

/**
 * Runs a handler of the worker of this name in the runtime; resolves when it has ended, with what it passed to `waitUntil`.
 * @throws FlexiError FLEXI_FUNCTION_CRASHED when the runtime could not run it.
 */
export async function trigger(control: Control, worker: string, event: TriggerEvent): Promise<TriggerResult> {
  const { target, body } = requestOf(worker, event)
  const { answer, content } = await askWhole(control, { method: 'POST', target, body }).catch(
    (cause: unknown) => {
      throw new FlexiError(
        'FLEXI_FUNCTION_CRASHED',
        `${worker}: the runtime ended while the handler ran: ${errorMessage(cause)}`,
        { cause },
      )
    },
  )
  if (answer.status === 200) return JSON.parse(content) as TriggerResult
  throw new FlexiError('FLEXI_FUNCTION_CRASHED', `${worker}: ${messageOf(content)}`)
}

async function askWhole(
  control: Control,
  request: ControlRequest,
): Promise<{ answer: ControlAnswer; content: string }> {
  const answer = await control.ask(request)
  return { answer, content: await text(answer.body) }
}

function requestOf(worker: string, event: TriggerEvent): { target: string; body: Uint8Array } {
  const query = new URLSearchParams({ worker })
  if (event.kind !== 'email')
    return { target: `/trigger/${event.kind}?${query.toString()}`, body: Buffer.from(JSON.stringify(event)) }
  query.set('from', event.from)
  query.set('to', event.to)
  return { target: `/trigger/email?${query.toString()}`, body: event.raw }
}

function messageOf(content: string): string {
  try {
    const { message } = JSON.parse(content) as { message?: unknown }
    return String(message)
  } catch {
    return content
  }
}

/** Messages of a queue with these bodies, as they come for the first time. */
export function queueMessages(bodies: readonly unknown[], now: number): readonly QueueMessage[] {
  return bodies.map((body) => ({ id: randomUUID().replaceAll('-', ''), timestamp: now, attempts: 1, body }))
}
