import { errorMessage, FlexiError } from '../../../core/errors.ts'
import { LIMITS } from '../../../core/limits.ts'
import type { Logger } from '../../../core/log.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import type { Invoker, Targets } from '../service/service.ts'
import {
  EVENT_DEFAULTS,
  eventCodec,
  progressOf,
  referenceOf,
  type AsyncEvent,
  type Condition,
  type EventSettings,
  type KeptEvent,
} from './async-event.ts'
import { attempt } from './attempt.ts'
import { systemClock, type Clock } from '../sources/clock.ts'
import { deliver } from './delivery.ts'
import { Journal } from './journal.ts'
import { uniqueName } from './journal-lines.ts'
import { JOURNAL } from './kept.ts'
import { Lane, newJob, type Job } from './lane.ts'
import { reportEnd, reportRetry } from './report.ts'

export type { AsyncEvent, EventSettings } from './async-event.ts'

export interface AsyncQueueOptions {
  readonly log: Logger
  /** Where events are kept: `.flexi/lambda/`. */
  readonly directory: AbsolutePath
  readonly invoke: Invoker['invoke']
  /** `hello`, `hello:3`; undefined while no such function is there. Asked before and after each attempt. */
  readonly settings: (reference: string) => EventSettings | undefined
  readonly targets: Targets
  /** Of flexi: where S3 is. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly tuning?: Partial<AsyncTuning> | undefined
}

export interface AsyncTuning {
  /** Waited before each further attempt at an event that its function failed; in the cloud they are one and two minutes. */
  readonly retryDelaysMs: readonly number[]
  /** Waited when there is no room for a function, doubled each time up to `throttleDelayMaxMs`, until an event is too old. */
  readonly throttleDelayMs: number
  readonly throttleDelayMaxMs: number
  /** Events of one function that run at once: half of its instances, so that the others are there for requests. */
  readonly concurrency: number
  /** Of all payloads that wait. */
  readonly bytesMax: number
  /** How long attempts may go on after the server stopped. */
  readonly drainMs: number
  readonly clock: Clock
}

const DEFAULTS: AsyncTuning = {
  retryDelaysMs: [1_000, 2_000],
  throttleDelayMs: 1_000,
  throttleDelayMaxMs: 300_000,
  concurrency: LIMITS.instancesMax / 2,
  bytesMax: 128 * 1024 * 1024,
  drainMs: LIMITS.drainMs,
  clock: systemClock,
}

/** Reads what an earlier run left; nothing runs before `start()`. */
export async function openAsyncQueue(options: AsyncQueueOptions): Promise<AsyncQueue> {
  const { directory, log } = options
  return new AsyncQueue(options, await Journal.open({ directory, name: JOURNAL, codec: eventCodec, log }))
}

/**
 * Events that nobody waits for: each is kept on disk until its function has taken it, or every attempt has failed and whoever is to
 * know has been told. Disposing waits for the attempts that run; what waits is there at the next start.
 */
export class AsyncQueue implements AsyncDisposable {
  readonly #options: AsyncQueueOptions
  readonly #tuning: AsyncTuning
  readonly #journal: Journal<KeptEvent>
  readonly #lanes = new Map<string, Lane>()
  /** What takes back the timers of those that wait for another attempt. */
  readonly #timers = new Set<() => void>()
  #number = 0
  #bytes = 0
  #state: 'waiting' | 'running' | 'stopping' | 'stopped' = 'waiting'
  #running = 0
  #drained: (() => void) | undefined

  constructor(options: AsyncQueueOptions, journal: Journal<KeptEvent>) {
    this.#options = options
    this.#tuning = { ...DEFAULTS, ...options.tuning }
    this.#journal = journal
    for (const [key, { value, note }] of journal.entries) this.#resume(key, value, note)
  }

  /** Resolves once the event is kept. @throws FlexiError FLEXI_QUEUE_FULL, FLEXI_SHUTTING_DOWN. */
  async add(event: AsyncEvent): Promise<void> {
    // What still runs while we stop may send its record to a function.
    if (this.#state === 'stopped')
      throw new FlexiError('FLEXI_SHUTTING_DOWN', 'flexi stops', { retryAfterSeconds: 1 })
    if (this.#bytes + event.payload.length > this.#tuning.bytesMax) {
      const mib = Math.round(this.#bytes / 1024 / 1024)
      throw new FlexiError('FLEXI_QUEUE_FULL', `${mib} MiB of events wait already`, { retryAfterSeconds: 1 })
    }
    const kept = { ...event, receivedAt: this.#tuning.clock.now() }
    const job = newJob(kept, { key: this.#keyOf(event), number: this.#nextNumber() })
    this.#bytes += event.payload.length
    try {
      await this.#journal.add(job.key, kept)
    } catch (error) {
      this.#bytes -= event.payload.length
      throw error
    }
    const lane = this.#lane(event.function)
    lane.add(job)
    this.#pump(lane)
  }

  /** Functions and targets are there: runs what came before, and whatever comes. */
  start(): void {
    if (this.#state !== 'waiting') return
    this.#state = 'running'
    for (const lane of this.#lanes.values()) this.#pump(lane)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return
    this.#state = 'stopping'
    for (const lane of this.#lanes.values()) lane.stop()
    for (const cancel of this.#timers) cancel()
    if (this.#running > 0) await this.#drain()
    this.#state = 'stopped'
    const left = this.#journal.entries.size
    await this.#journal[Symbol.asyncDispose]()
    if (left > 0)
      this.#options.log.info('event.keep', { message: `events that run at the next start: ${left}` })
  }

  #drain(): Promise<void> {
    const { clock, drainMs } = this.#tuning
    const message = `events that are waited for, ${drainMs / 1000} s at most: ${this.#running}`
    this.#options.log.info('event.drain', { message })
    return new Promise((resolve) => {
      const cancel = clock.after(drainMs, resolve)
      this.#drained = () => {
        cancel()
        resolve()
      }
    })
  }

  #resume(key: string, event: KeptEvent, note: unknown): void {
    const { attempts, notBefore } = progressOf(note)
    const job = { ...newJob(event, { key, number: this.#nextNumber() }), attempts, outlived: true }
    this.#bytes += event.payload.length
    const lane = this.#lane(event.function)
    const waitMs = notBefore - this.#tuning.clock.now()
    if (waitMs > 0) this.#later(lane, job, waitMs)
    else lane.add(job)
  }

  /** Whoever names a request may name two alike. */
  #keyOf({ id }: AsyncEvent): string {
    return this.#journal.entries.has(id) ? `${id}#${uniqueName()}` : id
  }

  #nextNumber(): number {
    this.#number += 1
    return this.#number
  }

  #lane(name: string): Lane {
    const lane = this.#lanes.get(name) ?? new Lane(name)
    this.#lanes.set(name, lane)
    return lane
  }

  #pump(lane: Lane): void {
    if (this.#state !== 'running' || lane.waiting === 0) return
    const reserved = this.#options.settings(lane.function)?.reservedConcurrency ?? Infinity
    const most = Math.min(this.#tuning.concurrency, Math.max(1, reserved))
    while (lane.running < most) {
      const job = lane.take()
      if (job === undefined) return
      void this.#run(lane, job)
    }
  }

  async #run(lane: Lane, job: Job): Promise<void> {
    lane.running += 1
    this.#running += 1
    try {
      await this.#process(lane, job)
    } catch (error) {
      // Ours to mend: the event is still in the journal.
      this.#options.log.error('event.fail', { function: lane.function, message: errorMessage(error) })
    } finally {
      lane.running -= 1
      this.#running -= 1
      this.#pump(lane)
      if (this.#running === 0) this.#drained?.()
    }
  }

  async #process(lane: Lane, job: Job): Promise<void> {
    const before = this.#endBefore(job)
    if (before !== undefined) return await this.#end(job, before)
    const result = await attempt(job, this.#options.invoke)
    // Whoever stops us has ended the function too: what it says then is not its answer.
    if (this.#state === 'stopped') return undefined
    switch (result) {
      case 'done':
        lane.unpause()
        return await this.#end(job, 'Success')
      case 'failed':
        lane.unpause()
        return await this.#failed(lane, job)
      case 'throttled':
        return this.#throttled(lane, job)
      case 'missing':
        return await this.#missing(lane, job)
    }
  }

  /** Why it is not even tried. */
  #endBefore(job: Job): Condition | undefined {
    const settings = this.#options.settings(referenceOf(job.event))
    if (settings?.reservedConcurrency === 0) return 'ZeroReservedConcurrency'
    return !job.outlived && this.#isTooOld(job, settings) ? 'EventAgeExceeded' : undefined
  }

  #isTooOld({ event }: Job, settings: EventSettings | undefined, inMs = 0): boolean {
    const ageMs = this.#tuning.clock.now() + inMs - event.receivedAt
    return ageMs > (settings?.maximumEventAge ?? EVENT_DEFAULTS.maximumEventAge) * 1000
  }

  async #failed(lane: Lane, job: Job): Promise<void> {
    job.outlived = false
    const { retryDelaysMs, clock } = this.#tuning
    const settings = this.#options.settings(referenceOf(job.event))
    const retries = settings?.maximumRetryAttempts ?? EVENT_DEFAULTS.maximumRetryAttempts
    const delayMs = retryDelaysMs[Math.min(job.attempts, retryDelaysMs.length) - 1] ?? 0
    if (job.attempts > retries) return await this.#end(job, 'RetriesExhausted')
    if (this.#isTooOld(job, settings, delayMs)) return await this.#end(job, 'EventAgeExceeded')
    this.#journal.note(job.key, { attempts: job.attempts, notBefore: clock.now() + delayMs })
    reportRetry(this.#options.log, job, { delayMs, attemptsMax: retries + 1 })
    return this.#later(lane, job, delayMs)
  }

  #throttled(lane: Lane, job: Job): void {
    const { clock, throttleDelayMs: firstMs, throttleDelayMaxMs: maxMs } = this.#tuning
    if (this.#state !== 'running') return
    lane.addAgain(job)
    lane.pause(clock, { firstMs, maxMs }, () => this.#pump(lane))
  }

  /** It may be a template that is being edited: the event waits for its function, and the others go on. */
  async #missing(lane: Lane, job: Job): Promise<void> {
    job.outlived = false
    const { throttleDelayMs, throttleDelayMaxMs } = this.#tuning
    const delayMs = Math.min(throttleDelayMs * 2 ** job.misses, throttleDelayMaxMs)
    if (this.#isTooOld(job, undefined, delayMs)) return await this.#end(job, 'EventAgeExceeded')
    const { id, function: name } = job.event
    const message = `the event ${id} waits for ${referenceOf(job.event)}, which is not there`
    if (job.misses === 0) this.#options.log.warn('event.wait', { function: name, message })
    job.misses += 1
    return this.#later(lane, job, delayMs)
  }

  #later(lane: Lane, job: Job, delayMs: number): void {
    if (this.#state === 'stopping') return
    const cancel = this.#tuning.clock.after(delayMs, () => {
      this.#timers.delete(cancel)
      lane.addAgain(job)
      this.#pump(lane)
    })
    this.#timers.add(cancel)
  }

  async #end(job: Job, condition: Condition): Promise<void> {
    const { log, targets, environment, settings: find } = this.#options
    const outcome = { event: job.event, condition, attempts: job.attempts, invoked: job.invoked }
    const settings = find(referenceOf(job.event))
    const { clock } = this.#tuning
    const told =
      settings === undefined ? [] : await deliver(outcome, settings, { targets, environment, log, clock })
    if (this.#state === 'stopped') return
    this.#journal.end(job.key)
    this.#bytes -= job.event.payload.length
    reportEnd(log, { job, condition, told })
  }
}
