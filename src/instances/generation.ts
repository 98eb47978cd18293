import { availableParallelism } from 'node:os'
import type { Duplex } from 'node:stream'

import { asFlexiError, errorMessage, type FlexiError } from '../core/errors.ts'
import type { Code, Instance } from '../core/function.ts'
import { DemandMeter } from './demand.ts'
import { keepsEnding } from './pool-errors.ts'
import type { GenerationOptions } from './pool-options.ts'

/** A lease longer than this is taken for waiting: on a database, on another service, on a timer. */
const SLOW_LEASE_MS = 20
const LEASE_WEIGHT = 0.2
/** By how much the delay has grown when restarts begin to wait: after three ends in a row. */
const CRASHES_FREE = 8
/** Instances that end later than this after their start are no crash loop. */
const LOOP_MS = 5_000
/** While somebody asks, another start is tried this soon after the last, whatever the delay. */
const REST_MS_MAX = 1_000
/** Below this the way to an instance and back costs more than its work: handing it the next request ahead doubles what it gets done. */
const FAST_LEASE_MS = 1

/** One instance and what it is doing. */
export interface Slot {
  readonly instance: Instance
  readonly generation: Generation
  inFlight: number
  /** Leases that ended while it lived. */
  served: number
  /** When its last lease began or ended, on the clock of `performance.now()`. */
  usedAt: number
}

/** The instances of one revision. */
export class Generation {
  readonly code: Code
  readonly #options: GenerationOptions
  readonly #instancesMax: number
  readonly #slots = new Set<Slot>()
  /** Slots with room, most recently used last: a warm instance is used before a cold one. */
  readonly #free: Slot[] = []
  readonly #sockets = new Set<Duplex>()
  readonly #demand = new DemandMeter()
  #starting = 0
  #inFlight = 0
  /** Moving average of how long a lease lasts; says whether handlers wait or compute. */
  #leaseMs = 0
  #releasedAt = 0
  #ending = false
  #whenIdle: (() => void) | undefined
  #failure: { readonly error: FlexiError; readonly until: number } | undefined
  /** Requests that were refused since that was last told. */
  #refused = 0
  #delayMs: number
  #reaper: NodeJS.Timeout | undefined

  constructor(code: Code, options: GenerationOptions) {
    this.code = code
    this.#options = options
    this.#instancesMax = code.instancesMax ?? options.limits.instancesMax
    this.#delayMs = options.limits.restartDelayMs
  }

  get size(): number {
    return this.#slots.size
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Starts one instance and resolves when it can answer. */
  async start(): Promise<void> {
    const { counts } = this.#options
    const startedAt = performance.now()
    this.#starting += 1
    try {
      const instance = await this.code.start()
      counts.started += 1
      counts.startedMs += performance.now() - startedAt
      if (this.#ending) {
        await instance[Symbol.asyncDispose]()
        return
      }
      this.#admit(instance)
    } catch (error) {
      const failure = asInitError(error)
      counts.startFailed += 1
      this.#failure = { error: failure, until: performance.now() + Math.min(this.#delayMs, REST_MS_MAX) }
      this.#delayMs = Math.min(this.#delayMs * 2, this.#options.limits.restartDelayMaxMs)
      throw failure
    } finally {
      this.#starting -= 1
    }
    this.#fill()
  }

  /** The first instance, on demand; does nothing while one is there or coming. */
  startFirst(): void {
    if (this.#slots.size + this.#starting === 0) this.#startInBackground()
  }

  /**
   * More instances for a queue whose head has waited since `since`. Handlers that wait get one each; handlers that compute get as many as
   * there are processors, because more would only take turns. At most as many again as there are at once: a burst must not fork a storm.
   */
  scaleOut(queued: number, since: number): void {
    const limit = this.#instancesMax
    const useful = this.#waits(since) ? limit : Math.min(limit, availableParallelism())
    const total = this.#slots.size + this.#starting
    const more = Math.min(
      useful - total,
      queued - this.#starting,
      Math.max(1, this.#slots.size) - this.#starting,
    )
    for (let count = 0; count < more; count += 1) this.#startInBackground()
  }

  /** Leases last long: on a database, on a timer. On a machine that is busy they do too, and more processes would make it worse. */
  #waits(since: number): boolean {
    if (this.#leaseMs < SLOW_LEASE_MS && this.#releasedAt >= since) return false
    const busy = [...this.#slots].filter(({ inFlight }) => inFlight > 0)
    const demand = this.#demand.of(busy.map(({ instance }) => instance))
    return demand === 'waits' || demand === 'unknown'
  }

  /** Why no instance could be started a moment ago. Undefined once it is worth trying again. */
  recentFailure(): FlexiError | undefined {
    if (this.#failure === undefined || this.#slots.size + this.#starting > 0) return undefined
    if (performance.now() >= this.#failure.until) return undefined
    this.#refused += 1
    return this.#failure.error
  }

  /** `ahead`: a busy instance will do, where the code allows it and answers come fast. */
  take(ahead: boolean): Slot | undefined {
    const free = this.#free.pop()
    const slot = free ?? (ahead ? this.#almostFree() : undefined)
    if (slot === undefined) return undefined
    slot.inFlight += 1
    slot.usedAt = performance.now()
    this.#inFlight += 1
    if (free !== undefined && slot.inFlight < this.code.concurrency) this.#free.push(slot)
    return slot
  }

  /** One that serves all it can and has nothing handed ahead yet. */
  #almostFree(): Slot | undefined {
    if (this.code.ahead !== true || this.#ending || this.#leaseMs > FAST_LEASE_MS || this.#releasedAt === 0)
      return undefined
    for (const slot of this.#slots) if (slot.inFlight === this.code.concurrency) return slot
    return undefined
  }

  release(slot: Slot): void {
    this.#inFlight -= 1
    if (slot.inFlight === this.code.concurrency && this.#slots.has(slot)) this.#free.push(slot)
    slot.inFlight -= 1
    slot.served += 1
    const now = performance.now()
    this.#leaseMs += (now - slot.usedAt - this.#leaseMs) * LEASE_WEIGHT
    this.#releasedAt = now
    slot.usedAt = now
    if (this.#inFlight === 0) this.#whenIdle?.()
  }

  /** An upgraded connection keeps its revision alive until it ends, or the drain limit. */
  holdSocket(socket: Duplex): void {
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (this.#inFlight === 0) this.#whenIdle?.()
    })
  }

  /**
   * Resolves when nothing is in flight, at the limit, or when it is disposed. An exclusive revision does not wait for open sockets:
   * its successor must not.
   */
  async drain(limitMs: number): Promise<void> {
    if (this.#isDrained()) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs)
      this.#whenIdle = () => {
        if (this.#isDrained()) resolve()
      }
    })
    clearTimeout(timer)
    this.#whenIdle = undefined
  }

  #isDrained(): boolean {
    return this.#ending || (this.#inFlight === 0 && (this.code.exclusive || this.#sockets.size === 0))
  }

  async dispose(): Promise<void> {
    this.#ending = true
    this.#whenIdle?.()
    clearInterval(this.#reaper)
    this.#free.length = 0
    const slots = [...this.#slots]
    this.#slots.clear()
    await Promise.all(slots.map((slot) => slot.instance[Symbol.asyncDispose]()))
  }

  /** A fresh generation of the same code, for when its successor could not start. */
  revive(): Generation {
    return new Generation(this.code, this.#options)
  }

  #startInBackground(): void {
    this.start().catch((error: unknown) => this.#options.onStartFailed(this, asInitError(error)))
  }

  #admit(instance: Instance): void {
    const slot: Slot = { instance, generation: this, inFlight: 0, served: 0, usedAt: performance.now() }
    this.#slots.add(slot)
    this.#free.push(slot)
    this.#failure = undefined
    this.#reaper ??= this.#startReaper()
    const startedAt = performance.now()
    instance.closed
      .then((error) => this.#closed(slot, { error, livedMs: performance.now() - startedAt }))
      .catch((error: unknown) => this.#options.log.error('instance.closed', { error: errorMessage(error) }))
    this.#options.onFree()
  }

  /** Starts what is to be there unasked. A start that fails is not tried again before the next one that works. */
  #fill(): void {
    const wanted = Math.min(this.code.instancesMin ?? 0, this.#instancesMax)
    for (let missing = wanted - this.#slots.size - this.#starting; missing > 0; missing -= 1)
      this.#startInBackground()
  }

  /** An instance ended by itself. Another is started at once, unless they keep ending before they have served anything. */
  #closed(slot: Slot, { error, livedMs }: { error: Error | undefined; livedMs: number }): void {
    if (!this.#slots.delete(slot)) return
    const index = this.#free.indexOf(slot)
    if (index !== -1) this.#free.splice(index, 1)
    if (this.#ending) return
    this.#options.counts.ended += 1
    if (error !== undefined) this.#options.log.debug('instance.closed', { error: errorMessage(error) })
    const { restartDelayMs, restartDelayMaxMs } = this.#options.limits
    const loops = livedMs <= LOOP_MS && !isUseful(slot)
    this.#delayMs = loops ? Math.min(this.#delayMs * 2, restartDelayMaxMs) : restartDelayMs
    if (this.#slots.size === 0) this.#startAgain(error)
    else if (!loops) this.#fill()
  }

  #startAgain(error: Error | undefined): void {
    if (this.#delayMs <= this.#options.limits.restartDelayMs * CRASHES_FREE) this.startFirst()
    else this.#rest(error)
  }

  /** A crash loop: until it is tried again, requests are answered with the reason instead of starting yet another process. */
  #rest(cause: Error | undefined): void {
    const delayMs = this.#delayMs
    const restMs = Math.min(delayMs, REST_MS_MAX)
    const error = keepsEnding(this.#options.name, restMs, cause)
    const refused =
      this.#refused === 0 ? '' : `; ${this.#refused} requests were refused since it was last said`
    this.#options.log.warn('instance.rest', { message: `${error.message}${refused}` })
    this.#refused = 0
    this.#failure = { error, until: performance.now() + restMs }
    this.#options.onStartFailed(this, error)
    // Nobody in sight: the later the better.
    const againMs = this.#inFlight > 0 ? restMs : delayMs
    setTimeout(() => this.#ending || this.startFirst(), againMs).unref()
  }

  #startReaper(): NodeJS.Timeout {
    const { idleInstanceMs } = this.#options.limits
    return setInterval(() => this.#reap(idleInstanceMs), Math.max(50, idleInstanceMs / 4)).unref()
  }

  #reap(idleMs: number): void {
    const now = performance.now()
    for (const slot of this.#slots) {
      if (this.#slots.size <= Math.max(1, this.code.instancesMin ?? 0)) return
      if (slot.inFlight > 0 || now - slot.usedAt < idleMs) continue
      this.#slots.delete(slot)
      this.#free.splice(this.#free.indexOf(slot), 1)
      slot.instance[Symbol.asyncDispose]().then(undefined, (error: unknown) =>
        this.#options.log.warn('instance.dispose', { error: errorMessage(error) }),
      )
    }
  }
}

function isUseful({ instance, served }: Slot): boolean {
  return instance.answered?.() ?? served > 0
}

function asInitError(error: unknown): FlexiError {
  return asFlexiError(error, 'FLEXI_FUNCTION_INIT')
}
