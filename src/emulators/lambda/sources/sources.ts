import { errorMessage } from '../../../core/errors.ts'
import type { ApiHost } from '../../../core/function.ts'
import { LIMITS } from '../../../core/limits.ts'
import { region } from '../definition.ts'
import type { EventSource } from '../service/event-source.ts'
import type { Brokers, Invoker, Listeners, Targets } from '../service/service.ts'
import { pause, systemClock, type Clock } from './clock.ts'
import { ScheduleTimer } from './schedules/schedule-timer.ts'
import { declaredEntries, mappedEntry, type SourceEntry, type SourceMapping } from './source-entry.ts'
import type { SourceState } from './source-state.ts'
import { isActive, sourceState, startSource, type RunningSource, type SourceContext } from './start-source.ts'

export type { SourceMapping } from './source-entry.ts'

export interface SourcesOptions {
  readonly host: Pick<ApiHost, 'log' | 'stateDirectory' | 'control' | 'functions'>
  readonly invoker: Invoker
  readonly brokers: Pick<Brokers, 'queues' | 'listen'>
  readonly targets: Targets
  /** Of the API. */
  readonly mappings?: readonly SourceMapping[] | undefined
  /** Endpoints, credentials, region; default process.env. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
  readonly clock?: Clock | undefined
}

/** How a source does, as Lambda's API tells it of an event source mapping. */
export interface SourceStatus {
  readonly uuid: string
  readonly function: string
  readonly source: EventSource
  /** By the project's files: the API cannot alter it. */
  readonly declared: boolean
  readonly state: 'Enabled' | 'Disabled'
  /** `OK`, `No records processed`, `PROBLEM: …`. */
  readonly lastProcessingResult: string
  /** Milliseconds since 1970: when it was made, or last altered. */
  readonly lastModified: number
}

/** Everything that gives functions events besides requests. Disposing waits for batches under way. */
export interface Sources extends AsyncDisposable {
  /** Functions, or the API's mappings, are others now: `mappings` are all of them. What is as it was goes on undisturbed. */
  changed(mappings: readonly SourceMapping[]): void
  status(uuid: string): SourceStatus | undefined
  list(): readonly SourceStatus[]
}

interface Managed {
  readonly entry: SourceEntry
  readonly state: SourceState | undefined
  readonly lastModified: number
  /** Undefined when there is nothing to run. */
  readonly running: Promise<RunningSource | undefined>
}

/** Starts the sources of all functions. What is wrong with one of them is told in the log, and keeps no other from running. */
export async function openSources(options: SourcesOptions): Promise<Sources> {
  const sources = new RunningSources(options)
  sources.changed(options.mappings ?? [])
  await sources.started()
  return sources
}

class RunningSources implements Sources {
  readonly #options: SourcesOptions
  readonly #context: SourceContext
  readonly #managed = new Map<string, Managed>()
  /** By subject: a poller that follows another one waits for its end. */
  readonly #stopping = new Map<string, Promise<void>>()
  #listeners = ''
  #disposed = false

  constructor(options: SourcesOptions) {
    const { host, invoker, brokers, targets } = options
    const clock = options.clock ?? systemClock
    const environment = options.environment ?? process.env
    const timer = new ScheduleTimer(clock)
    const checkpoints = new Map()
    const outside = { environment, region: region(environment) }
    this.#options = options
    this.#context = { host, invoker, brokers, targets, clock, timer, checkpoints, ...outside }
  }

  changed(mappings: readonly SourceMapping[]): void {
    if (this.#disposed) return
    const entries = [...declaredEntries(this.#options.host.functions()), ...mappings.map(mappedEntry)]
    this.#listen(entries)
    const keys = new Set(entries.map(({ key }) => key))
    const subjects = new Set(entries.map(({ subject }) => subject))
    const isGone = ({ declared, subject }: SourceEntry): boolean => !declared && !subjects.has(subject)
    for (const [key, managed] of this.#managed) {
      if (keys.has(key)) void managed.running.then((running) => running?.wake?.())
      else this.#stop(key, managed, isGone(managed.entry))
    }
    for (const entry of entries) if (!this.#managed.has(entry.key)) this.#start(entry)
  }

  status(uuid: string): SourceStatus | undefined {
    return this.list().find((status) => status.uuid === uuid)
  }

  list(): readonly SourceStatus[] {
    return [...this.#managed.values()].map(statusOf)
  }

  async started(): Promise<void> {
    await Promise.all([...this.#managed.values()].map(({ running }) => running))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    for (const [key, managed] of this.#managed) this.#stop(key, managed, false)
    this.#context.timer[Symbol.dispose]()
    // A function may take a quarter of an hour: what is not done by then comes again after the next start.
    const limit = new AbortController()
    const drained = Promise.all(this.#stopping.values()).then(() => limit.abort())
    await Promise.race([drained, pause(systemClock, LIMITS.drainMs, limit.signal)])
    const opened = await Promise.all(this.#context.checkpoints.values())
    await Promise.all(opened.map((checkpoints) => checkpoints.flush()))
  }

  #start(entry: SourceEntry): void {
    const { source, key } = entry
    const state = isActive(source) ? sourceState(this.#context, entry) : undefined
    const running = state === undefined ? Promise.resolve(undefined) : this.#begun(entry, state)
    this.#managed.set(key, { entry, state, running, lastModified: this.#context.clock.now() })
  }

  async #begun(entry: SourceEntry, state: SourceState): Promise<RunningSource | undefined> {
    const { source, subject } = entry
    if (source.enabled === false || !isActive(source)) return undefined
    // Records of a stream stay in order; a queue takes care of that itself.
    if (source.type === 'kinesis' || source.type === 'dynamodb') await this.#stopping.get(subject)
    try {
      return await startSource(this.#context, { ...entry, source }, state)
    } catch (error) {
      state.failed('source', errorMessage(error))
      return undefined
    }
  }

  #stop(key: string, { entry, running }: Managed, gone: boolean): void {
    const { subject } = entry
    this.#managed.delete(key)
    const ended = running.then((one) => one?.stop()).then(() => (gone ? this.#forget(subject) : undefined))
    // One that ended before may still have batches under way.
    const stopped = Promise.all([this.#stopping.get(subject), ended]).then(() => {
      if (this.#stopping.get(subject) === stopped) this.#stopping.delete(subject)
    })
    this.#stopping.set(subject, stopped)
  }

  /** A mapping that was deleted leaves nothing behind. */
  async #forget(subject: string): Promise<void> {
    const checkpoints = this.#context.checkpoints.get(subject)
    this.#context.checkpoints.delete(subject)
    await (await checkpoints)?.delete()
  }

  #listen(entries: readonly SourceEntry[]): void {
    const listeners = listenersOf(entries)
    const text = JSON.stringify(listeners)
    if (text === this.#listeners) return
    this.#listeners = text
    this.#options.brokers.listen(listeners)
  }
}

function statusOf({ entry, state, lastModified }: Managed): SourceStatus {
  const { uuid, function: reference, source, declared } = entry
  return {
    uuid,
    function: reference,
    source,
    declared,
    state: source.enabled === false ? 'Disabled' : 'Enabled',
    lastProcessingResult: state?.lastProcessingResult ?? 'No records processed',
    lastModified,
  }
}

function listenersOf(entries: readonly SourceEntry[]): Listeners {
  const topics: Listeners['topics'][number][] = []
  const buses: Listeners['buses'][number][] = []
  const buckets: Listeners['buckets'][number][] = []
  for (const { function: reference, source } of entries) {
    if (source.enabled === false) continue
    if (source.type === 'sns') topics.push({ function: reference, source })
    if (source.type === 'events') buses.push({ function: reference, source })
    if (source.type === 's3') buckets.push({ function: reference, source })
  }
  return { topics, buses, buckets }
}
