import type { IncomingMessage } from 'node:http'

import { badEvent, isObject, queueFrom, scheduledFrom } from './event-input.ts'
import type { EmailEvent, QueueEvent, TriggerEvent } from './trigger.ts'

/** Source: Cloudflare docs, Email Routing limits. */
const EMAIL_BYTES_MAX = 25 * 1024 * 1024
/** A batch of a queue holds 100 messages of 128 KB; base64 and JSON take the rest. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024

export interface TriggerRequest {
  readonly query: URLSearchParams
  readonly incoming: IncomingMessage
  /** Milliseconds since 1970. */
  readonly now: number
}

export type TriggerKind = TriggerEvent['kind']

export const TRIGGER_KINDS: readonly TriggerKind[] = ['scheduled', 'queue', 'email']

/** The event that a request to a trigger asks for. @throws FlexiError FLEXI_BAD_REQUEST with what is wrong with it. */
export async function readTrigger(kind: TriggerKind, request: TriggerRequest): Promise<TriggerEvent> {
  const { query, incoming, now } = request
  switch (kind) {
    case 'scheduled':
      return scheduledFrom({ cron: query.get('cron'), scheduledTime: query.get('time') }, now)
    case 'queue':
      return queueOf(await contentOf(incoming, BATCH_BYTES_MAX), request)
    case 'email':
      return emailOf(await contentOf(incoming, EMAIL_BYTES_MAX), query)
  }
}

/** `{"queue":"orders","messages":[{"body":…}]}`, or the list alone with `?queue=`. */
function queueOf(content: Buffer, { query, now }: TriggerRequest): QueueEvent {
  const value = jsonOf(content)
  const batch = isObject(value) ? value : { messages: value }
  return queueFrom({ ...batch, queue: query.get('queue') ?? batch['queue'] }, now)
}

function jsonOf(content: Buffer): Readonly<Record<string, unknown>> | unknown[] {
  try {
    return JSON.parse(content.toString('utf8')) as Readonly<Record<string, unknown>> | unknown[]
  } catch {
    throw badEvent('the content is no JSON; a queue takes [{"body":"hello"}]')
  }
}

function emailOf(raw: Buffer, query: URLSearchParams): EmailEvent {
  const from = query.get('from') ?? ''
  const to = query.get('to') ?? ''
  if (raw.length === 0 || from === '' || to === '')
    throw badEvent(
      'Invalid email: name the addresses of its envelope in "from" and "to", and send the message as content',
    )
  if (emailField(raw, 'from') === undefined) throw badEvent('Email could not be parsed: it has no From field')
  if (emailField(raw, 'message-id') === undefined)
    throw badEvent('Email could not be parsed: invalid or no message id provided')
  return { kind: 'email', from, to, raw }
}

/** The first field of this name (in lower case), unfolded. */
export function emailField(raw: Uint8Array, name: string): string | undefined {
  const [head = ''] = Buffer.from(raw)
    .toString('utf8')
    .split(/\r?\n\r?\n/, 1)
  for (const line of head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0 && line.slice(0, colon).trim().toLowerCase() === name) return line.slice(colon + 1).trim()
  }
  return undefined
}

/** `Ada <ada@example.com>, bob@example.com` → both addresses. */
export function addressesIn(field: string | undefined): readonly string[] {
  return (field ?? '').match(/[^\s<>,;"]+@[^\s<>,;"]+/g) ?? []
}

async function contentOf(incoming: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) throw badEvent(`the content is larger than ${bytesMax / 1024 / 1024} MB`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
