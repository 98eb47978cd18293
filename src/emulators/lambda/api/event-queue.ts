import { setTimeout as sleep } from 'node:timers/promises'

import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { ApiHost, FunctionConfig, InvokeContext } from '../../../core/function.ts'
import type { ApiCall } from './api-call.ts'
import { eventOptionsOf } from './event-options.ts'
import { invokeContext, invoked } from './invocation.ts'

export interface QueuedEvent {
  /** As it was when the event came. */
  readonly config: FunctionConfig
  readonly payload: Uint8Array
  readonly call: ApiCall
}

export interface EventQueueOptions {
  /** Waited before each further attempt at an event that its function failed; in the cloud they are one and two minutes. */
  readonly retryDelaysMs: readonly number[]
  /** Waited when no instance can be had, doubled each time up to `throttleDelayMaxMs`, until the event is too old. */
  readonly throttleDelayMs: number
  readonly throttleDelayMaxMs: number
}

const DEFAULTS: EventQueueOptions = {
  retryDelaysMs: [1_000, 2_000],
  throttleDelayMs: 1_000,
  throttleDelayMaxMs: 300_000,
}

type Attempt = 'done' | 'failed' | 'throttled' | 'stopping'

/** Events that nobody waits for: they run in the background, and again when their function fails. In memory only. */
export class EventQueue implements Disposable {
  readonly #host: ApiHost
  readonly #options: EventQueueOptions
  readonly #stopping = new AbortController()

  constructor(host: ApiHost, options: Partial<EventQueueOptions> = {}) {
    this.#host = host
    this.#options = { ...DEFAULTS, ...options }
  }

  /** Never fails: what becomes of the event is told in the log. */
  add(event: QueuedEvent): void {
    void this.#run(event)
  }

  /** What waits for another attempt is given up. */
  [Symbol.dispose](): void {
    this.#stopping.abort()
  }

  async #run(event: QueuedEvent): Promise<void> {
    const { retryDelaysMs, throttleDelayMs, throttleDelayMaxMs } = this.#options
    const { maximumRetryAttempts, maximumEventAge } = eventOptionsOf(event.config)
    const givenUpAt = Date.now() + maximumEventAge * 1000
    const delays = retryDelaysMs.slice(0, maximumRetryAttempts)
    let throttleMs = throttleDelayMs
    for (;;) {
      const attempt = await this.#attempt(event)
      if (attempt === 'done') return
      if (attempt === 'stopping') return this.#drop(event, 'flexi stops')
      const delayMs = attempt === 'throttled' ? throttleMs : delays.shift()
      if (attempt === 'throttled') throttleMs = Math.min(throttleMs * 2, throttleDelayMaxMs)
      if (delayMs === undefined) return this.#drop(event, 'every attempt failed')
      if (Date.now() + delayMs > givenUpAt) return this.#drop(event, 'it is too old')
      if (!(await this.#pause(delayMs))) return this.#drop(event, 'flexi stops')
    }
  }

  /** The server waits for it when it stops. */
  async #attempt(event: QueuedEvent): Promise<Attempt> {
    const attempt = this.#invoke(event)
    event.call.context.waitUntil(attempt)
    return await attempt
  }

  async #invoke({ config: { name }, payload, call }: QueuedEvent): Promise<Attempt> {
    const served = this.#host.find(name)
    if (served === undefined) return 'failed'
    const context: InvokeContext = { ...invokeContext(call, served), signal: NEVER }
    try {
      const { functionError } = await invoked(served, payload, context)
      return functionError === undefined ? 'done' : 'failed'
    } catch (error) {
      const code = error instanceof FlexiError ? error.code : undefined
      if (code === 'FLEXI_SHUTTING_DOWN') return 'stopping'
      if (code === 'FLEXI_QUEUE_FULL') return 'throttled'
      this.#host.log.warn('event.fail', {
        message: `an event for ${name} could not run: ${errorMessage(error)}`,
      })
      return 'failed'
    }
  }

  async #pause(ms: number): Promise<boolean> {
    try {
      await sleep(ms, undefined, { signal: this.#stopping.signal })
      return true
    } catch {
      return false
    }
  }

  #drop({ config: { name }, call }: QueuedEvent, reason: string): void {
    const message = `the event ${call.context.id} for ${name} is dropped: ${reason}`
    this.#host.log.warn('event.drop', { function: name, message })
  }
}

const NEVER = new AbortController().signal
