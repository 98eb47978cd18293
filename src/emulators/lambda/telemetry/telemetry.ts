import { jsonAnswer, refusal, type ApiAnswer, type ApiRequest } from '../extensions/api-request.ts'
import { Delivery, type Reach } from './delivery.ts'
import { asLogsEvent } from './logs-events.ts'
import { parseSubscription, type EventCategory, type Subscription } from './subscription.ts'

/** One thing that happened in an environment. `record` is an object, or what was printed. */
export interface TelemetryEvent {
  /** ISO 8601, in UTC. */
  readonly time: string
  /** `platform.start`, `function` … */
  readonly type: string
  readonly record: unknown
}

interface Subscriber {
  readonly subscription: Subscription
  readonly delivery: Delivery
  /** What it did not get. It is told before the next event, and not at once: who takes nothing would not take that either. */
  readonly missed: { records: number; bytes: number }
}

export interface TelemetryOptions {
  readonly retryDelaysMs?: readonly number[] | undefined
  /** An extension has subscribed. */
  subscribed?(name: string, types: readonly EventCategory[]): void
}

const APIS = { '/2022-07-01/telemetry': 'telemetry', '/2020-08-15/logs': 'logs' } as const

const DROPPED = 'The subscriber did not take what it was sent, or not fast enough.'

/** The paths that `handle` answers begin with one of these. */
export const TELEMETRY_PATHS: readonly string[] = Object.keys(APIS)

/** The Telemetry API of one environment, and the older Logs API: who is told what. Source: Lambda guide, Telemetry API. */
export class Telemetry {
  readonly #options: TelemetryOptions
  #reach: Reach | undefined
  readonly #subscribers = new Map<string, Subscriber>()
  /** What happened before somebody could ask for it; undefined once nobody can. */
  #early: TelemetryEvent[] | undefined = []

  constructor(options: TelemetryOptions = {}) {
    this.#options = options
  }

  /** Subscribers are in a network of their own: their ports are reached by Unix sockets. Undefined where they share ours. */
  reachBy(reach: Reach | undefined): void {
    this.#reach = reach
  }

  /** Whether there is anybody to be told, or may be. */
  get isHeard(): boolean {
    return this.#early !== undefined || this.#subscribers.size > 0
  }

  /** @returns undefined when it is another path. */
  apiOf({ path }: ApiRequest): Subscription['api'] | undefined {
    const known: Readonly<Record<string, Subscription['api']>> = APIS
    return known[path.replace(/\/$/, '')]
  }

  /** Answers a call by the extension of this name. */
  subscribe(request: ApiRequest, name: string): ApiAnswer {
    const api = this.apiOf(request)
    if (api === undefined || request.method !== 'PUT') return refusal('NotFound', 'Not found', 404)
    if (this.#early === undefined) return this.#closed(api)
    const parsed = parseSubscription(request.body, api)
    if ('faults' in parsed) return refusal('ValidationError', parsed.faults.join('; '), 400)
    const known = this.#subscribers.get(name)
    if (known !== undefined && known.subscription.api !== api)
      return refusal('ValidationError', `${name} has subscribed through the other API already`, 400)
    known?.delivery.close()
    this.#add(name, parsed)
    return jsonAnswer(200, 'OK')
  }

  /** Init is over: nobody may subscribe from now on. */
  close(): void {
    this.#early = undefined
  }

  emit(type: string, record: unknown): void {
    if (!this.isHeard) return
    const event = { time: new Date().toISOString(), type, record }
    this.#early?.push(event)
    for (const subscriber of this.#subscribers.values()) deliver(subscriber, event)
  }

  /** Resolves when all was sent, or given up. */
  async flush(): Promise<void> {
    await Promise.all([...this.#subscribers.values()].map(({ delivery }) => delivery.flush()))
  }

  dispose(): void {
    this.close()
    for (const { delivery } of this.#subscribers.values()) delivery.close()
    this.#subscribers.clear()
  }

  #closed(api: Subscription['api']): ApiAnswer {
    const name = api === 'telemetry' ? 'Telemetry' : 'Logs'
    return refusal(`${name}.SubscriptionClosed`, `${name} API subscription is closed already`)
  }

  #add(name: string, subscription: Subscription): void {
    const { retryDelaysMs } = this.#options
    const missed = { records: 0, bytes: 0 }
    const dropped = (records: number, bytes: number): void => {
      missed.records += records
      missed.bytes += bytes
    }
    const delivery = new Delivery({ subscription, retryDelaysMs, dropped, reach: this.#reach })
    const subscriber: Subscriber = { subscription, delivery, missed }
    this.#subscribers.set(name, subscriber)
    for (const event of this.#early ?? []) deliver(subscriber, event)
    const type = subscription.api === 'telemetry' ? 'telemetrySubscription' : 'logsSubscription'
    this.emit(`platform.${type}`, { name, state: 'Subscribed', types: subscription.types })
    this.#options.subscribed?.(name, subscription.types)
  }
}

function deliver({ subscription, delivery, missed }: Subscriber, event: TelemetryEvent): void {
  if (missed.records > 0) {
    const record = { droppedBytes: missed.bytes, droppedRecords: missed.records, reason: DROPPED }
    missed.records = 0
    missed.bytes = 0
    delivery.add(JSON.stringify({ time: event.time, type: 'platform.logsDropped', record }))
  }
  const category = event.type.split('.', 1)[0]
  if (!subscription.types.some((type) => type === category)) return
  const events = subscription.api === 'logs' ? asLogsEvent(event, subscription.schemaVersion) : [event]
  for (const one of events) delivery.add(JSON.stringify(one))
}
