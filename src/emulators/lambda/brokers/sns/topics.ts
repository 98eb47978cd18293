import { createHash } from 'node:crypto'

import { errorMessage } from '../../../../core/errors.ts'
import type { Listener } from '../../service/service.ts'
import type { TopicResource, TopicSubscription } from '../../service/resource.ts'
import { functionArn } from '../../definition.ts'
import { arnOf } from '../arn.ts'
import { nameOf } from '../sqs/queues.ts'
import { Deliveries, type DeliveriesOptions } from './deliveries.ts'
import { invalidParameter, subscriptionNotFound, topicNotFound } from './sns-errors.ts'
import { Subscription } from './subscription.ts'
import { Topic, type NewPublication, type Published } from './topic.ts'

export interface TopicsOptions extends DeliveriesOptions {
  readonly region: string
  readonly now: () => number
}

/** All topics by name, with their subscriptions. */
export class Topics {
  readonly #options: TopicsOptions
  readonly #topics = new Map<string, Topic>()
  readonly deliveries: Deliveries

  constructor(options: TopicsOptions) {
    this.#options = options
    this.deliveries = new Deliveries(options)
  }

  all(): readonly Topic[] {
    return [...this.#topics.values()]
  }

  /** One of that name may be there already. @throws BrokerError InvalidParameter. */
  create(name: string, attributes: Readonly<Record<string, string>> = {}): Topic {
    const there = this.#topics.get(name)
    if (there !== undefined) return there
    if (!/^[\w-]{1,256}$/.test(name.endsWith('.fifo') ? name.slice(0, -5) : name)) {
      throw invalidParameter('Topic Name')
    }
    if ((attributes['FifoTopic'] === 'true') !== name.endsWith('.fifo')) {
      throw invalidParameter(
        'Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.',
      )
    }
    const topic = new Topic({
      name,
      arn: arnOf('sns', this.#options.region, name),
      attributes,
      now: this.#options.now,
    })
    this.#topics.set(name, topic)
    return topic
  }

  delete(name: string): void {
    this.#topics.delete(name)
  }

  /** By name or ARN. */
  find(reference: string): Topic | undefined {
    return this.#topics.get(nameOf(reference))
  }

  /** @throws BrokerError NotFound. */
  get(reference: string): Topic {
    const topic = this.find(reference)
    if (topic === undefined) throw topicNotFound()
    return topic
  }

  /** @throws BrokerError NotFound. */
  subscription(arn: string): { readonly topic: Topic; readonly subscription: Subscription } {
    const topic = this.find(arn.slice(0, arn.lastIndexOf(':')))
    const subscription = topic?.subscriptions().find((one) => one.arn === arn)
    if (topic === undefined || subscription === undefined) throw subscriptionNotFound()
    return { topic, subscription }
  }

  /**
   * Takes the message; it is handed over in the background.
   * @throws BrokerError InvalidParameter.
   */
  publish(topic: Topic, message: NewPublication): Published {
    const { published, publication } = topic.publication(message)
    if (publication === undefined) return published
    const filtered = { body: publication.message, attributes: publication.attributes }
    for (const subscription of topic.subscriptions()) {
      if (subscription.wants(filtered)) void this.deliveries.send(publication, subscription)
    }
    return published
  }

  /** What files and functions say now, in place of what they said before. */
  declare(resources: readonly TopicResource[], listeners: readonly Listener<'sns'>[]): void {
    const declared = new Map<string, Subscription[]>()
    for (const { name, contentBasedDeduplication, subscriptions } of resources) {
      if (!this.#declareTopic(declared, name, contentBasedDeduplication)) continue
      for (const one of subscriptions) this.#declareOne(declared, name, one)
    }
    for (const { function: endpoint, source } of listeners) {
      const name = nameOf(source.topic)
      const { filterPolicy, filterPolicyScope, deadLetter } = source
      const arn = endpoint.startsWith('arn:') ? endpoint : functionArn(endpoint, this.#options.region)
      const declaration = { endpoint: arn, filterPolicy, filterPolicyScope, deadLetter }
      if (!this.#declareTopic(declared, name)) continue
      this.#declareOne(declared, name, { protocol: 'lambda', ...declaration })
    }
    for (const topic of this.#topics.values()) topic.declare(declared.get(topic.name) ?? [])
  }

  #declareTopic(declared: Map<string, Subscription[]>, name: string, byContent?: boolean): boolean {
    try {
      const topic = this.create(name, name.endsWith('.fifo') ? { FifoTopic: 'true' } : {})
      if (byContent !== undefined) topic.setAttribute('ContentBasedDeduplication', String(byContent))
      declared.set(name, declared.get(name) ?? [])
      return true
    } catch (error) {
      this.#options.log.warn('topic.declare', {
        topic: name,
        message: `topic ${name} cannot be: ${errorMessage(error)}`,
      })
      return false
    }
  }

  #declareOne(declared: Map<string, Subscription[]>, topic: string, declaration: TopicSubscription): void {
    const { protocol, endpoint } = declaration
    const topicArn = arnOf('sns', this.#options.region, topic)
    const subscriptions = declared.get(topic) ?? []
    declared.set(topic, subscriptions)
    const attributes = attributesOf(declaration)
    const same = subscriptions.length
    const id = stableId(`${topicArn} ${protocol} ${endpoint} ${same} ${JSON.stringify(attributes)}`)
    try {
      subscriptions.push(new Subscription({ topicArn, protocol, endpoint, attributes, id, pending: false }))
    } catch (error) {
      const message = `topic ${topic}: the subscription of ${endpoint} cannot be: ${errorMessage(error)}`
      this.#options.log.warn('topic.subscribe', { topic, message })
    }
  }
}

function attributesOf(declaration: TopicSubscription): Record<string, string> {
  const { filterPolicy, filterPolicyScope, rawMessageDelivery, deadLetter } = declaration
  const attributes: Record<string, string> = {}
  if (filterPolicy !== undefined) attributes['FilterPolicy'] = JSON.stringify(filterPolicy)
  if (filterPolicyScope !== undefined) attributes['FilterPolicyScope'] = filterPolicyScope
  if (rawMessageDelivery === true) attributes['RawMessageDelivery'] = 'true'
  if (deadLetter !== undefined) {
    attributes['RedrivePolicy'] = JSON.stringify({ deadLetterTargetArn: deadLetter })
  }
  return attributes
}

/** The same subscription has the same ARN after a reload and a restart. */
function stableId(text: string): string {
  const digest = createHash('sha256').update(text).digest('hex')
  return digest.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
