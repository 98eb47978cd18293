import { createHash, randomUUID } from 'node:crypto'

import type { MessageAttribute } from '../../service/queue.ts'
import { ACCOUNT_ID } from '../../definition.ts'
import { BrokerError } from '../broker-error.ts'
import { Deduplication } from '../deduplication.ts'
import { checkMessageAttributes, messageBytes } from '../sqs/new-message.ts'
import type { Publication } from './publication.ts'
import { invalidParameter } from './sns-errors.ts'
import type { Protocol, Subscription } from './subscription.ts'

export interface NewPublication {
  readonly message: string
  readonly subject?: string | undefined
  /** `json`: the message is an object of messages by protocol. */
  readonly structure?: string | undefined
  readonly attributes?: Readonly<Record<string, MessageAttribute>> | undefined
  readonly groupId?: string | undefined
  readonly deduplicationId?: string | undefined
}

/** What is told of a message. Its content is not kept for that. */
export type Published = Pick<Publication, 'id' | 'sequence'>

/** What a topic takes unless its attribute says more, and what that may say. */
const MESSAGE_BYTES = { initial: 262_144, min: 1024, max: 1_048_576 } as const

/** One topic: who is subscribed, and what makes a message of it. */
export class Topic {
  readonly name: string
  readonly arn: string
  readonly fifo: boolean
  readonly tags = new Map<string, string>()
  readonly #attributes: Record<string, string>
  readonly #now: () => number
  readonly #sent = new Deduplication<Published>()
  #declared: readonly Subscription[] = []
  #own: readonly Subscription[] = []
  #sequence = 0

  constructor(options: {
    readonly name: string
    readonly arn: string
    readonly attributes: Readonly<Record<string, string>>
    readonly now: () => number
  }) {
    for (const [name, value] of Object.entries(options.attributes)) checkAttribute(name, value)
    this.name = options.name
    this.arn = options.arn
    this.fifo = options.name.endsWith('.fifo')
    this.#attributes = { ...options.attributes }
    this.#now = options.now
  }

  subscriptions(): readonly Subscription[] {
    return [...this.#declared, ...this.#own]
  }

  declare(subscriptions: readonly Subscription[]): void {
    this.#declared = subscriptions
  }

  add(subscription: Subscription): void {
    this.#own = [...this.#own, subscription]
  }

  /** What a file says comes back with the next reload. */
  remove(subscription: Subscription): void {
    this.#own = this.#own.filter((one) => one !== subscription)
    this.#declared = this.#declared.filter((one) => one !== subscription)
  }

  /** Bytes of a message with its attributes, and of all messages of a batch. */
  get messageBytesMax(): number {
    return Number(this.#attributes['MaximumMessageSize'] ?? MESSAGE_BYTES.initial)
  }

  /** @throws BrokerError InvalidParameter. */
  setAttribute(name: string, value: string): void {
    checkAttribute(name, value)
    this.#attributes[name] = value
  }

  /** As SNS tells them. */
  attributes(): Record<string, string> {
    const all = this.subscriptions()
    const pending = all.filter((one) => one.pending).length
    return {
      TopicArn: this.arn,
      Owner: ACCOUNT_ID,
      DisplayName: '',
      Policy: '{}',
      SubscriptionsConfirmed: String(all.length - pending),
      SubscriptionsPending: String(pending),
      SubscriptionsDeleted: '0',
      EffectiveDeliveryPolicy: '{}',
      ...(this.fifo ? { FifoTopic: 'true', ContentBasedDeduplication: 'false' } : {}),
      ...this.#attributes,
    }
  }

  /** What is told of the message, and what is handed over: nothing of one that a FIFO topic has had in the last five minutes. @throws BrokerError InvalidParameter. */
  publication(message: NewPublication): {
    readonly published: Published
    readonly publication: Publication | undefined
  } {
    checkPublication(message, this.messageBytesMax)
    const now = this.#now()
    const deduplicationId = this.#deduplicationId(message)
    const sameAs = deduplicationId === undefined ? undefined : this.#sent.find(deduplicationId, now)
    if (sameAs !== undefined) return { published: sameAs, publication: undefined }
    this.#sequence += 1
    const { text, byProtocol } = structured(message)
    const publication: Publication = {
      id: randomUUID(),
      topicArn: this.arn,
      message: text,
      byProtocol,
      subject: message.subject,
      attributes: message.attributes ?? {},
      publishedAt: now,
      groupId: message.groupId,
      deduplicationId,
      sequence: this.fifo ? `1000000000000${String(this.#sequence).padStart(7, '0')}` : undefined,
    }
    const published = { id: publication.id, sequence: publication.sequence }
    if (deduplicationId !== undefined) this.#sent.add(deduplicationId, published, now)
    return { published, publication }
  }

  #deduplicationId({ groupId, deduplicationId, message }: NewPublication): string | undefined {
    if (!this.fifo) {
      if (deduplicationId === undefined) return undefined
      throw invalidParameter(
        'MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type',
      )
    }
    if (groupId === undefined) {
      throw invalidParameter('The MessageGroupId parameter is required for FIFO topics')
    }
    if (deduplicationId !== undefined) return deduplicationId
    if (this.#attributes['ContentBasedDeduplication'] === 'true') {
      return createHash('sha256').update(message).digest('hex')
    }
    throw invalidParameter(
      'The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly',
    )
  }
}

function checkAttribute(name: string, value: string): void {
  if (name !== 'MaximumMessageSize') return
  const bytes = /^\d+$/.test(value) ? Number(value) : NaN
  if (!(bytes >= MESSAGE_BYTES.min && bytes <= MESSAGE_BYTES.max)) {
    throw invalidParameter(
      `Attributes Reason: MaximumMessageSize: must be ${MESSAGE_BYTES.min} to ${MESSAGE_BYTES.max}`,
    )
  }
}

/** Bytes as SNS counts them. */
export function publicationBytes({ message, attributes = {} }: NewPublication): number {
  return messageBytes({ body: message, attributes })
}

/** Begins with something visible, holds no line break; 100 letters at most. */
const SUBJECT = /^[^\p{C}\p{Z}][^\p{C}\p{Zl}\p{Zp}]{0,99}$/u

function checkPublication(publication: NewPublication, bytesMax: number): void {
  const { message, subject, attributes = {} } = publication
  if (message === '') throw invalidParameter('Empty message')
  if (publicationBytes(publication) > bytesMax) throw invalidParameter('Message too long')
  if (subject !== undefined && !SUBJECT.test(subject)) throw invalidParameter('Subject')
  try {
    checkMessageAttributes(attributes)
  } catch (error) {
    throw error instanceof BrokerError ? new BrokerError('ParameterValueInvalid', error.message) : error
  }
}

function structured({ message, structure }: NewPublication): {
  readonly text: string
  readonly byProtocol: Readonly<Partial<Record<Protocol, string>>>
} {
  if (structure === undefined) return { text: message, byProtocol: {} }
  if (structure !== 'json') throw invalidParameter('MessageStructure')
  const messages = parsed(message)
  const text = messages['default']
  if (typeof text !== 'string') {
    throw invalidParameter('Message Structure - No default entry in JSON message body')
  }
  return { text, byProtocol: messages as Readonly<Partial<Record<Protocol, string>>> }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).filter(([, one]) => typeof one === 'string'))
    }
  } catch {
    // Told below, as any other JSON that is no object.
  }
  throw invalidParameter('Message Structure - JSON message body failed to parse')
}
