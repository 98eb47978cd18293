import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'

import { errorMessage } from '../../../../core/errors.ts'
import type { MessageAttribute } from '../../service/queue.ts'
import { compileFilterPolicy } from '../../patterns/filter-policy.ts'
import { parseArn } from '../arn.ts'
import { invalidParameter } from './sns-errors.ts'

export type Protocol = 'lambda' | 'sqs' | 'http' | 'https'

export interface SubscriptionOptions {
  readonly topicArn: string
  readonly protocol: Protocol
  /** ARN or URL; a function may go by its name. */
  readonly endpoint: string
  /** As SNS calls them: `FilterPolicy`, `FilterPolicyScope`, `RawMessageDelivery`, `RedrivePolicy`. */
  readonly attributes: Readonly<Record<string, string>>
  /** Part of the ARN; made anew when undefined. */
  readonly id?: string | undefined
  /** It gets messages once it has shown the token that it was sent. */
  readonly pending: boolean
}

type FilteredMessage = {
  readonly body: string
  readonly attributes: Readonly<Record<string, MessageAttribute>>
}

/** How a fault begins that is told of a rule's pattern. */
const PATTERN_FAULT = 'Event pattern is not valid. Reason: '

const ATTRIBUTES: ReadonlySet<string> = new Set([
  'DeliveryPolicy',
  'FilterPolicy',
  'FilterPolicyScope',
  'RawMessageDelivery',
  'RedrivePolicy',
  'SubscriptionRoleArn',
  'ReplayPolicy',
])

/** Somebody who is told of what is published. */
export class Subscription {
  readonly arn: string
  readonly topicArn: string
  readonly protocol: Protocol
  readonly endpoint: string
  /** What a pending one has to show. */
  readonly token = randomUUID().replaceAll('-', '').repeat(2)
  pending: boolean
  #attributes: Readonly<Record<string, string>>
  #matches: (message: FilteredMessage) => boolean

  /** @throws BrokerError InvalidParameter. */
  constructor({ topicArn, protocol, endpoint, attributes, id, pending }: SubscriptionOptions) {
    this.arn = `${topicArn}:${id ?? randomUUID()}`
    this.topicArn = topicArn
    this.protocol = protocol
    this.endpoint = endpoint
    this.pending = pending
    this.#attributes = attributes
    this.#matches = matcherOf(attributes)
  }

  get attributes(): Readonly<Record<string, string>> {
    return this.#attributes
  }

  get raw(): boolean {
    return meaning(this.#attributes['RawMessageDelivery'] ?? '') === true
  }

  /** ARN of the queue for what cannot be handed over. */
  get deadLetter(): string | undefined {
    return deadLetterOf(this.#attributes['RedrivePolicy'])
  }

  /** Whether somebody who subscribes again wants what is there already. What they do not say is not compared. */
  has(attributes: Readonly<Record<string, string>>): boolean {
    return Object.entries(attributes).every(([name, value]) => {
      const own = this.#attributes[name] ?? DEFAULTS[name] ?? ''
      return isDeepStrictEqual(meaning(value), meaning(own))
    })
  }

  /** An empty text takes one away. @throws BrokerError InvalidParameter. */
  setAttribute(name: string, value: string): void {
    const rest = Object.entries(this.#attributes).filter(([key]) => key !== name)
    const next = Object.fromEntries(value === '' ? rest : [...rest, [name, value]])
    this.#matches = matcherOf(next)
    this.#attributes = next
  }

  wants(message: FilteredMessage): boolean {
    return !this.pending && this.#matches(message)
  }
}

const DEFAULTS: Readonly<Record<string, string>> = {
  RawMessageDelivery: 'false',
  FilterPolicyScope: 'MessageAttributes',
}

/** Policies are alike however they are spaced, and Python writes `True`. */
function meaning(attribute: string): unknown {
  const text = /^(true|false)$/i.test(attribute) ? attribute.toLowerCase() : attribute
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function matcherOf(attributes: Readonly<Record<string, string>>): (message: FilteredMessage) => boolean {
  for (const name of Object.keys(attributes)) {
    if (!ATTRIBUTES.has(name)) throw invalidParameter('AttributeName')
  }
  deadLetterOf(attributes['RedrivePolicy'])
  const { FilterPolicy: policy, FilterPolicyScope: scope = 'MessageAttributes' } = attributes
  if (scope !== 'MessageAttributes' && scope !== 'MessageBody') {
    throw invalidParameter('FilterPolicyScope: Invalid value')
  }
  if (policy === undefined) return () => true
  try {
    return compileFilterPolicy(JSON.parse(policy), scope)
  } catch (error) {
    throw invalidParameter(`FilterPolicy: ${errorMessage(error).replace(PATTERN_FAULT, '')}`)
  }
}

function deadLetterOf(policy: string | undefined): string | undefined {
  if (policy === undefined || policy === '') return undefined
  try {
    const { deadLetterTargetArn } = JSON.parse(policy) as { readonly deadLetterTargetArn?: unknown }
    if (typeof deadLetterTargetArn === 'string' && parseArn(deadLetterTargetArn)?.service === 'sqs') {
      return deadLetterTargetArn
    }
  } catch {
    // Told below, as a policy that says nothing.
  }
  throw invalidParameter('RedrivePolicy: deadLetterTargetArn must be the ARN of a queue')
}
