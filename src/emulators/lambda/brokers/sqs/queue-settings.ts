import { parseArn } from '../arn.ts'
import { invalidAttribute, unknownAttribute } from './sqs-errors.ts'

/** What the attributes of a queue mean. */
export interface QueueSettings {
  readonly visibilityMs: number
  readonly delayMs: number
  readonly retentionMs: number
  readonly waitMs: number
  readonly messageBytesMax: number
  readonly contentBasedDeduplication: boolean
  readonly deduplicationScope: 'queue' | 'messageGroup'
  readonly redrive: { readonly target: string; readonly receivesMax: number } | undefined
}

/** AWS's own limit since 2025; attributes and body together. */
export const MESSAGE_BYTES_MAX = 1_048_576

interface Range {
  readonly initial: number
  readonly min: number
  readonly max: number
}

const NUMBERS = {
  VisibilityTimeout: { initial: 30, min: 0, max: 43_200 },
  DelaySeconds: { initial: 0, min: 0, max: 900 },
  MessageRetentionPeriod: { initial: 345_600, min: 60, max: 1_209_600 },
  ReceiveMessageWaitTimeSeconds: { initial: 0, min: 0, max: 20 },
  MaximumMessageSize: { initial: MESSAGE_BYTES_MAX, min: 1024, max: MESSAGE_BYTES_MAX },
} as const satisfies Record<string, Range>

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  FifoQueue: ['true', 'false'],
  ContentBasedDeduplication: ['true', 'false'],
  SqsManagedSseEnabled: ['true', 'false'],
  DeduplicationScope: ['queue', 'messageGroup'],
  FifoThroughputLimit: ['perQueue', 'perMessageGroupId'],
}

/** Kept and given back; nothing here depends on them. */
const KEPT: ReadonlySet<string> = new Set([
  'Policy',
  'RedriveAllowPolicy',
  'KmsMasterKeyId',
  'KmsDataKeyReusePeriodSeconds',
])

const FIFO_ONLY: ReadonlySet<string> = new Set([
  'ContentBasedDeduplication',
  'DeduplicationScope',
  'FifoThroughputLimit',
])

/** What a queue has when nobody says otherwise, as SQS tells it. */
export function initialAttributes(fifo: boolean): Record<string, string> {
  const numbers = Object.entries(NUMBERS).map(([name, { initial }]) => [name, String(initial)])
  const attributes = {
    ...(Object.fromEntries(numbers) as Record<string, string>),
    SqsManagedSseEnabled: 'true',
  }
  if (!fifo) return attributes
  return {
    ...attributes,
    FifoQueue: 'true',
    ContentBasedDeduplication: 'false',
    DeduplicationScope: 'queue',
    FifoThroughputLimit: 'perQueue',
  }
}

/** @throws BrokerError InvalidAttributeName, InvalidAttributeValue. */
export function checkAttributes(attributes: Readonly<Record<string, string>>, fifo: boolean): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (!fifo && FIFO_ONLY.has(name)) throw unknownAttribute(name)
    checkAttribute(name, value)
  }
}

function checkAttribute(name: string, value: string): void {
  const range: Range | undefined = name in NUMBERS ? NUMBERS[name as keyof typeof NUMBERS] : undefined
  const choices = CHOICES[name]
  if (range !== undefined) {
    const number = /^\d+$/.test(value) ? Number(value) : NaN
    if (!(number >= range.min && number <= range.max)) throw invalidAttribute(name)
  } else if (choices !== undefined) {
    if (!choices.includes(value)) throw invalidAttribute(name)
  } else if (name === 'RedrivePolicy') redriveOf(value)
  else if (!KEPT.has(name)) throw unknownAttribute(name)
}

export function settingsOfQueue(attributes: Readonly<Record<string, string>>): QueueSettings {
  const ms = (name: keyof typeof NUMBERS): number => Number(attributes[name] ?? NUMBERS[name].initial) * 1000
  return {
    visibilityMs: ms('VisibilityTimeout'),
    delayMs: ms('DelaySeconds'),
    retentionMs: ms('MessageRetentionPeriod'),
    waitMs: ms('ReceiveMessageWaitTimeSeconds'),
    messageBytesMax: Number(attributes['MaximumMessageSize'] ?? MESSAGE_BYTES_MAX),
    contentBasedDeduplication: attributes['ContentBasedDeduplication'] === 'true',
    deduplicationScope: attributes['DeduplicationScope'] === 'messageGroup' ? 'messageGroup' : 'queue',
    redrive: redriveOf(attributes['RedrivePolicy'] ?? ''),
  }
}

/** `{"deadLetterTargetArn":"arn:aws:sqs:…","maxReceiveCount":3}`; an empty text takes the policy away. */
function redriveOf(text: string): QueueSettings['redrive'] {
  if (text === '') return undefined
  const { deadLetterTargetArn: target, maxReceiveCount } = parsedObject(text)
  const receivesMax = Number(maxReceiveCount)
  if (typeof target !== 'string' || parseArn(target)?.service !== 'sqs') {
    throw invalidAttribute('RedrivePolicy', 'deadLetterTargetArn must be the ARN of a queue.')
  }
  if (!(Number.isInteger(receivesMax) && receivesMax >= 1 && receivesMax <= 1000)) {
    throw invalidAttribute('RedrivePolicy', 'maxReceiveCount must be between 1 and 1000.')
  }
  return { target, receivesMax }
}

function parsedObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  } catch {
    // Told below, as anything else that is no policy.
  }
  throw invalidAttribute('RedrivePolicy', 'Redrive policy is not a valid JSON map.')
}
