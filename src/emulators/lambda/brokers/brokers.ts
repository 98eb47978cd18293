import { setMaxListeners } from 'node:events'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { SocketFetcher } from '../../../core/fetcher.ts'
import type { ApiHost } from '../../../core/function.ts'
import { region as regionOf } from '../definition.ts'
import type { MessageAttribute, SendMessage } from '../service/queue.ts'
import type { Resource } from '../service/resource.ts'
import type { Brokers, Listeners, TargetMessage } from '../service/service.ts'
import { systemClock, type Clock } from '../sources/clock.ts'
import { parseArn } from './arn.ts'
import { BrokerError } from './broker-error.ts'
import { busEvent, type NewEvent } from './events/bus-event.ts'
import { Buses } from './events/buses.ts'
import { ruleOfListener } from './events/declared-rules.ts'
import { openEventsJson } from './events/events-api.ts'
import { openQueryApi } from './query/query-api.ts'
import { requestKind, type RequestKind } from './request-kind.ts'
import { Notifications } from './s3/notifications.ts'
import { Topics } from './sns/topics.ts'
import { Polls } from './sqs/polls.ts'
import { QueueRegistry } from './sqs/queues.ts'
import { openSqsJson } from './sqs/sqs-api.ts'

export interface BrokersOptions {
  readonly host: Pick<ApiHost, 'log' | 'control' | 'resources' | 'closing'>
  /** Resolves once the event is kept. */
  readonly invokeEvent: (reference: string, payload: Uint8Array) => Promise<void>
  /** Default is what the environment says. */
  readonly region?: string | undefined
  readonly clock?: Clock | undefined
  /** Waited before each further attempt at a URL that is subscribed to a topic. */
  readonly retryDelaysMs?: readonly number[] | undefined
}

/** In the cloud the waits are 20 seconds. */
const RETRY_DELAYS_MS: readonly number[] = [1_000, 5_000, 20_000]
const NO_LISTENERS: Listeners = { topics: [], buses: [], buckets: [] }

/** Queues, topics and buses in memory, for as long as the application runs. */
export function openBrokers(options: BrokersOptions): Promise<Brokers> {
  return Promise.resolve(new OpenBrokers(options))
}

class OpenBrokers implements Brokers {
  readonly queues: QueueRegistry
  readonly #options: BrokersOptions
  readonly #region: string
  readonly #now: () => number
  readonly #topics: Topics
  readonly #buses: Buses
  readonly #notifications: Notifications
  readonly #fetchers: Readonly<Record<RequestKind, SocketFetcher>>
  readonly #stopping = new AbortController()
  #listeners: Listeners = NO_LISTENERS
  /** What was declared last, as JSON. */
  #declared = ''
  /** What files said of a queue last: what the API changed since stands until they say something else. */
  readonly #declaredQueues = new Map<string, string>()

  constructor(options: BrokersOptions) {
    const { host, clock = systemClock, retryDelaysMs = RETRY_DELAYS_MS } = options
    const { log } = host
    this.#options = options
    const now = (): number => clock.now()
    this.#now = now
    this.#region = options.region ?? regionOf(process.env)
    const deliver = (arn: string, message: SendMessage): Promise<void> => this.#deliver(arn, message)
    const common = { log, region: this.#region, now, clock, deliver }
    const endpoint = (): string => `${host.control() ?? 'http://127.0.0.1/_flexi'}/aws`
    const mount = (): string => new URL(endpoint()).pathname
    this.queues = new QueueRegistry(common)
    this.#topics = new Topics({ ...common, endpoint, retryDelaysMs, stopping: this.#stopping.signal })
    this.#buses = new Buses(common)
    const publish = (event: NewEvent): void => this.#buses.put('default', busEvent(event, this.#region))
    this.#notifications = new Notifications({ ...common, publish })
    // Every delivery to a URL listens.
    setMaxListeners(0, this.#stopping.signal)
    const polls = new Polls()
    host.closing?.addEventListener('abort', () => polls.endAll())
    this.#fetchers = {
      sqs: openSqsJson({ queues: this.queues, polls, mount }),
      events: openEventsJson(this.#buses, now),
      query: openQueryApi({ queues: this.queues, polls, topics: this.#topics, mount }),
      's3-events': this.#notifications.fetcher,
    }
    this.changed()
  }

  listen(listeners: Listeners): void {
    this.#listeners = listeners
    this.changed()
  }

  changed(): void {
    // Told apart by `kind`: the provider's own readers made them.
    const resources = this.#options.host.resources() as readonly Resource[]
    const declared = JSON.stringify([resources, this.#listeners])
    if (declared === this.#declared) return
    this.#declared = declared
    this.#declare(resources, this.#listeners)
  }

  #declare(resources: readonly Resource[], { topics, buses, buckets }: Listeners): void {
    for (const resource of resources) if (resource.kind === 'queue') this.#declareQueue(resource)
    const declaredTopics = resources.filter((resource) => resource.kind === 'topic')
    this.#topics.declare(
      declaredTopics,
      topics.filter(({ source }) => source.enabled !== false),
    )
    const names = resources.filter((resource) => resource.kind === 'bus').map(({ name }) => name)
    const ofFunctions = buses.map((listener, index) => ruleOfListener(listener, index, this.#region))
    const ofFiles = resources.filter((resource) => resource.kind === 'rule')
    this.#buses.declare(names, [...ofFiles, ...ofFunctions])
    this.#notifications.listen(buckets)
  }

  fetcherOf(request: Parameters<Brokers['fetcherOf']>[0]): SocketFetcher | undefined {
    const kind = requestKind(request)
    return kind && this.#fetchers[kind]
  }

  async send(arn: string, message: TargetMessage): Promise<void> {
    const { body, attributes, detailType = 'Event', resources } = message
    try {
      if (parseArn(arn)?.service === 'events') {
        this.#buses.get(arn)
        const detail: unknown = JSON.parse(body)
        const event = { source: 'lambda', detailType, detail, resources, at: this.#now() }
        this.#buses.put(arn, busEvent(event, this.#region))
      } else await this.#deliver(arn, { body, attributes: attributesOf(attributes) })
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      throw new FlexiError('FLEXI_NO_INPUT', `${arn}: ${errorMessage(error)}`, { cause: error })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    this.queues.close()
    this.#buses.close()
    return Promise.resolve()
  }

  async #deliver(arn: string, message: SendMessage): Promise<void> {
    switch (parseArn(arn)?.service) {
      // A function may go by its name.
      case undefined:
      case 'lambda':
        return this.#options.invokeEvent(arn, Buffer.from(message.body))
      case 'sqs':
        return void (await this.queues.send(arn, forQueue(arn, message)))
      case 'sns': {
        const { body, attributes, groupId, deduplicationId } = message
        this.#topics.publish(this.#topics.get(arn), { message: body, attributes, groupId, deduplicationId })
        return undefined
      }
      default:
        throw new FlexiError('FLEXI_NO_INPUT', `nothing here has the ARN ${arn}`, {
          hint: 'Name a function, queue, topic or event bus.',
        })
    }
  }

  /** One that is there keeps its messages. */
  #declareQueue({ name, attributes }: Extract<Resource, { readonly kind: 'queue' }>): void {
    const declared = JSON.stringify(attributes)
    const queue = this.queues.find(name)
    if (queue !== undefined && this.#declaredQueues.get(name) === declared) return
    this.#declaredQueues.set(name, declared)
    try {
      if (queue === undefined) this.queues.create(name, attributes)
      else queue.setAttributes(attributes)
    } catch (error) {
      const message = `queue ${name} cannot be: ${errorMessage(error)}`
      this.#options.host.log.warn('queue.declare', { queue: name, message })
    }
  }
}

function attributesOf(attributes: TargetMessage['attributes']): Record<string, MessageAttribute> {
  const all = Object.entries(attributes ?? {}).map(([name, { type, value }]) => [name, { type, text: value }])
  return Object.fromEntries(all) as Record<string, MessageAttribute>
}

/** What has no group, or no deduplication of its own, is nothing that a standard queue may be told. */
function forQueue(arn: string, message: SendMessage): SendMessage {
  return arn.endsWith('.fifo') ? message : { ...message, deduplicationId: undefined }
}
