import type { ApiHost } from '../../../core/function.ts'
import type { AsyncQueue, AsyncTuning } from '../async/async-queue.ts'
import { eventsDirectory, hasKeptEvents } from '../async/kept.ts'
import { projectRegion } from '../definition.ts'
import { settingsOf } from '../service/function-settings.ts'
import type { Brokers, Listeners, Targets } from '../service/service.ts'
import type { SourceMapping, Sources, SourceStatus } from '../sources/sources.ts'
import type { Deployments } from './deployments.ts'
import { sourceMappings } from './mapping-source.ts'
import { eventSettings, Service, type EventTaker } from './service.ts'

export interface BackgroundOptions {
  readonly host: ApiHost
  readonly deployments: Deployments
  /** How events that nobody waits for are tried again. */
  readonly tuning?: Partial<AsyncTuning> | undefined
}

/** What runs without being asked: events that nobody waits for, brokers, event sources. Each is opened when something needs it. */
export class Background implements AsyncDisposable {
  readonly invoker: Service
  readonly events: EventTaker
  /** Where what was sent to an ARN goes: functions take it as an event, brokers have the rest. */
  readonly targets: Targets
  readonly #options: BackgroundOptions
  #queue: Promise<AsyncQueue> | undefined
  #brokers: Promise<Brokers> | undefined
  #sources: Promise<Sources> | undefined
  #openSources: Sources | undefined
  #listeners: Listeners = { topics: [], buses: [], buckets: [] }
  #disposed = false

  constructor(options: BackgroundOptions) {
    this.#options = options
    this.events = { add: async (event) => (await this.#queueOf()).add(event) }
    this.invoker = new Service(options.deployments, this.events)
    this.targets = {
      send: async (arn, message) => {
        if (/^arn:[^:]+:lambda:/.test(arn)) await this.invoker.invokeEvent(arn, Buffer.from(message.body))
        else await (await this.brokers()).send(arn, message)
      },
    }
  }

  /** Starts what has something to do already. */
  async start(): Promise<void> {
    if (await hasKeptEvents(this.#options.host.stateDirectory)) await this.#queueOf()
    await this.changed()
  }

  /** Other functions, or other mappings, are in force. */
  async changed(): Promise<void> {
    if (this.#disposed) return
    const mappings = sourceMappings(this.#options.deployments.functions.store.state.mappings)
    if (this.#brokers !== undefined) (await this.#brokers).changed()
    if (this.#disposed) return
    if (this.#sources !== undefined) (await this.#sources).changed(mappings)
    else if (mappings.length > 0 || this.#hasSources()) await this.#startSources(mappings)
    // What the files declare is read again with it.
    if (this.#brokers !== undefined || this.#options.host.resources().length > 0)
      (await this.brokers()).listen(this.#listeners)
  }

  /** How sources do, those of the project's files among them. */
  statuses(): readonly SourceStatus[] {
    return this.#openSources?.list() ?? []
  }

  brokers(): Promise<Brokers> {
    this.#brokers ??= this.#openBrokers()
    return this.#brokers
  }

  /** What gives work ends before what takes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    // The last work of one may open the next.
    for (const part of [() => this.#sources, () => this.#queue, () => this.#brokers]) {
      const open = await part()?.catch(() => undefined)
      await open?.[Symbol.asyncDispose]()
    }
  }

  #hasSources(): boolean {
    return this.#options.deployments.functions
      .all()
      .some(({ config }) => (settingsOf(config).sources ?? []).length > 0)
  }

  async #startSources(mappings: readonly SourceMapping[]): Promise<void> {
    this.#sources = this.#begun(mappings)
    this.#openSources = await this.#sources
  }

  async #begun(mappings: readonly SourceMapping[]): Promise<Sources> {
    const { openSources } = await import('../sources/sources.ts')
    const { host } = this.#options
    const { invoker, targets } = this
    const brokers = await this.brokers()
    const listen = (listeners: Listeners): void => {
      this.#listeners = listeners
      brokers.listen(listeners)
    }
    return await openSources({
      host,
      environment: { ...process.env, AWS_REGION: projectRegion(host.functions(), process.env) },
      invoker,
      targets,
      mappings,
      brokers: { queues: brokers.queues, listen },
    })
  }

  #queueOf(): Promise<AsyncQueue> {
    this.#queue ??= this.#openEvents()
    return this.#queue
  }

  async #openEvents(): Promise<AsyncQueue> {
    const { openAsyncQueue } = await import('../async/async-queue.ts')
    const { host, deployments, tuning } = this.#options
    const queue = await openAsyncQueue({
      log: host.log,
      directory: eventsDirectory(host.stateDirectory),
      invoke: (...call) => this.invoker.invoke(...call),
      settings: (reference) => eventSettings(deployments, reference),
      targets: this.targets,
      environment: process.env,
      tuning,
    })
    queue.start()
    return queue
  }

  async #openBrokers(): Promise<Brokers> {
    const { openBrokers } = await import('../brokers/brokers.ts')
    const { host } = this.#options
    return openBrokers({
      host,
      region: projectRegion(host.functions(), process.env),
      invokeEvent: (reference, payload) => this.invoker.invokeEvent(reference, payload),
    })
  }
}
