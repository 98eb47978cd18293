import { FlexiError } from '../../../core/errors.ts'
import {
  queueMessages,
  type EmailEvent,
  type QueueEvent,
  type QueueMessage,
  type ScheduledEvent,
} from './trigger.ts'

type JsonInput = Readonly<Record<string, unknown>>

/** `{ cron, scheduledTime }`: milliseconds since 1970, or a date. @throws FlexiError FLEXI_BAD_REQUEST. */
export function scheduledFrom({ cron, scheduledTime }: JsonInput, now: number): ScheduledEvent {
  return {
    kind: 'scheduled',
    cron: typeof cron === 'string' ? cron : '',
    scheduledTime: timeFrom(scheduledTime, now, 'scheduledTime'),
  }
}

/** `{ queue, messages: [{ body, id?, timestamp?, attempts?, encoding? }] }` @throws FlexiError FLEXI_BAD_REQUEST. */
export function queueFrom({ queue, messages }: JsonInput, now: number): QueueEvent {
  if (!Array.isArray(messages) || messages.length === 0)
    throw badEvent('there is no list of messages, such as [{"body":"hello"}]')
  return {
    kind: 'queue',
    queue: typeof queue === 'string' ? queue : '',
    messages: messages.map((message, index) => messageFrom(message, index, now)),
  }
}

function messageFrom(value: unknown, index: number, now: number): QueueMessage {
  if (!isObject(value) || !('body' in value))
    throw badEvent(`message ${index} has no "body": write {"body": …} for each`)
  const { id, timestamp, attempts, body, encoding } = value
  if (encoding !== undefined && (encoding !== 'base64' || typeof body !== 'string'))
    throw badEvent(`message ${index}: "encoding" is "base64", for a body that is text`)
  const [fresh] = queueMessages([body], now)
  return {
    id: typeof id === 'string' ? id : (fresh?.id ?? ''),
    timestamp: timeFrom(timestamp, now, `message ${index}: "timestamp"`),
    attempts: typeof attempts === 'number' ? attempts : 1,
    body,
    encoding,
  }
}

/** Milliseconds since 1970; `fallback` where nothing is said. */
function timeFrom(value: unknown, fallback: number, name: string): number {
  if (value === undefined || value === null || value === '') return fallback
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const time = /^-?\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Math.abs(time) <= 8.64e15) return time
  throw badEvent(`${name} is "${text}" and no time: write milliseconds since 1970, or 2026-11-21T17:30:00Z`)
}

/** `{ from, to, raw }`, or `{ from, to, subject, text, messageId, headers }` to make the message of. */
export function emailFrom(value: JsonInput): EmailEvent {
  const text = (name: string): string => {
    const found = value[name]
    return typeof found === 'string' ? found : ''
  }
  const from = text('from')
  const to = text('to')
  if (from === '' || to === '') throw badEvent('an email has "from" and "to", the addresses of its envelope')
  const raw = text('raw')
  if (raw !== '') return { kind: 'email', from, to, raw: Buffer.from(raw) }
  const headers = isObject(value['headers']) ? Object.entries(value['headers']) : []
  const lines = [
    `From: ${from}`,
    `To: ${to}`,
    `Subject: ${text('subject')}`,
    `Message-ID: ${text('messageId')}`,
    ...headers.map(([name, content]) => `${name}: ${String(content)}`),
  ]
  return { kind: 'email', from, to, raw: Buffer.from(`${lines.join('\r\n')}\r\n\r\n${text('text')}\r\n`) }
}

export function isObject(value: unknown): value is JsonInput {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function badEvent(message: string): FlexiError {
  return new FlexiError('FLEXI_BAD_REQUEST', message)
}
