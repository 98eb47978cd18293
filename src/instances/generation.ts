import { availableParallelism } from 'node:os'
import type { Duplex } from 'node:stream'

import { errorMessage, type FlexiError } from '../core/errors.ts'
import type { Code, Instance } from '../core/function.ts'
import { BackOff } from './back-off.ts'
import { Condition } from './condition.ts'
import { DemandMeter } from './demand.ts'
import { asInitError, keepsEnding } from './pool-errors.ts'
import type { GenerationOptions, PoolChange, Slot } from './pool-options.ts'
import { Reaper } from './reaper.ts'

/** A lease longer than this is taken for waiting: on a database, on another service, on a timer. */
const SLOW_LEASE_MS = 20
const LEASE_WEIGHT = 0.2
/** Instances that end later than this after their start are no crash loop. */
const LOOP_MS = 5_000
/** Below this the way to an instance and back costs more than its work: handing it the next request ahead doubles what it gets done. */
const FAST_LEASE_MS = 1

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
  readonly #drained = new Condition(() => this.#isDrained())
  readonly #backOff: BackOff
  #reaper: Reaper | undefined

  constructor(code: Code, options: GenerationOptions) {
    this.code = code
    this.#options = options
    this.#instancesMax = code.instancesMax ?? options.limits.instancesMax
    this.#backOff = new BackOff(options.limits)
  }

  get size(): number {
    return this.#slots.size
  }

  get starting(): number {
    return this.#starting
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get sockets(): number {
    return this.#sockets.size
  }

  /** Starts one instance and resolves when it can answer. */
  async start(): Promise<void> {
    const { counts, onChange } = this.#options
    const startedAt = performance.now()
    this.#starting += 1
    onChange?.({ kind: 'starting' })
    let settled: PoolChange | undefined
    try {
      const instance = await this.code.start()
      const durationMs = performance.now() - startedAt
      counts.started += 1
      counts.startedMs += durationMs
      settled = { kind: 'started', durationMs }
      if (this.#ending) {
        await instance[Symbol.asyncDispose]()
        return
      }
      this.#admit(instance)
    } catch (error) {
      const failure = asInitError(error)
      counts.startFailed += 1
      this.#backOff.startFailed(failure)
      settled = { kind: 'start-failed', error: failure }
      throw failure
    } finally {
      this.#starting -= 1
      if (settled !== undefined) onChange?.(settled)
    }
    this.fill()
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
    return this.#slots.size + this.#starting > 0 ? undefined : this.#backOff.refusal()
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
    if (this.#inFlight === 0) this.#drained.check()
  }

  /** An upgraded connection keeps its revision alive until it ends, or the drain limit. */
  holdSocket(slot: Slot, socket: Duplex): void {
    this.#sockets.add(socket)
    slot.sockets += 1
    socket.once('close', () => {
      this.#sockets.delete(socket)
      slot.sockets -= 1
      slot.usedAt = performance.now()
      if (this.#inFlight === 0) this.#drained.check()
    })
  }

  /**
   * Resolves when nothing is in flight, at the limit, or when it is disposed. An exclusive revision does not wait for open sockets:
   * its successor must not.
   */
  drain(limitMs: number): Promise<void> {
    return this.#drained.met(limitMs)
  }

  #isDrained(): boolean {
    return this.#ending || (this.#inFlight === 0 && (this.code.exclusive || this.#sockets.size === 0))
  }

  async dispose(): Promise<void> {
    this.#ending = true
    this.#drained.check()
    this.#reaper?.[Symbol.dispose]()
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
    const usedAt = performance.now()
    const slot: Slot = { instance, generation: this, inFlight: 0, sockets: 0, served: 0, usedAt }
    this.#slots.add(slot)
    this.#free.push(slot)
    this.#backOff.started()
    this.#reaper ??= new Reaper(this.#options.limits, (idleMs) => this.#reap(idleMs))
    const startedAt = performance.now()
    instance.closed
      .then((error) => this.#closed(slot, { error, livedMs: performance.now() - startedAt }))
      .catch((error: unknown) => this.#options.log.error('instance.closed', { error: errorMessage(error) }))
    this.#options.onFree()
  }

  /** Starts what is to be there unasked. A start that fails is not tried again before the next one that works. */
  fill(): void {
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
    const { counts, log, onChange } = this.#options
    counts.ended += 1
    if (error !== undefined) log.debug('instance.closed', { error: errorMessage(error) })
    onChange?.({ kind: 'ended', error })
    const loops = livedMs <= LOOP_MS && !isUseful(slot)
    const waits = this.#backOff.ended(loops)
    if (this.#slots.size === 0) this.#startAgain(error, waits)
    else if (!loops) this.fill()
    else setTimeout(() => this.#ending || this.fill(), this.#backOff.delayMs).unref()
  }

  #startAgain(error: Error | undefined, waits: boolean): void {
    if (waits) this.#rest(error)
    else if (error !== undefined || this.#kept > 0) this.startFirst()
    // Whoever waits starts one.
    else this.#options.onFree()
  }

  /** How many stay although nobody asks. */
  get #kept(): number {
    return Math.max(this.#options.limits.instancesKept, this.code.instancesMin ?? 0)
  }

  /** A crash loop: until it is tried again, requests are answered with the reason instead of starting yet another process. */
  #rest(cause: Error | undefined): void {
    const { name, log, limits, onChange } = this.#options
    const { delayMs, restMs } = this.#backOff
    const error = keepsEnding(name, restMs, cause)
    const count = this.#backOff.takeRefused()
    const refused = count === 0 ? '' : `; ${count} requests were refused since it was last said`
    log.warn('instance.rest', { message: `${error.message}${refused}` })
    this.#backOff.rest(error)
    this.#options.onStartFailed(this, error)
    // Nobody in sight: the later the better, and at last not at all where none is to be there unasked.
    const gaveUp = this.#kept === 0 && this.#inFlight === 0 && delayMs >= limits.restartDelayMaxMs
    const againMs = this.#inFlight > 0 ? restMs : delayMs
    onChange?.({ kind: 'resting', againMs: gaveUp ? undefined : againMs })
    if (!gaveUp) setTimeout(() => this.#ending || this.startFirst(), againMs).unref()
  }

  /** The pool's limits, which it shares, are others now. */
  limitsChanged(): void {
    this.#reaper?.restart()
  }

  #reap(idleMs: number): void {
    const now = performance.now()
    for (const slot of this.#slots) {
      if (this.#slots.size <= this.#kept) return
      if (slot.inFlight + slot.sockets > 0 || now - slot.usedAt < idleMs) continue
      this.#slots.delete(slot)
      this.#free.splice(this.#free.indexOf(slot), 1)
      slot.instance[Symbol.asyncDispose]().then(undefined, (error: unknown) =>
        this.#options.log.warn('instance.dispose', { error: errorMessage(error) }),
      )
      this.#options.onChange?.({ kind: 'retired' })
    }
  }
}

function isUseful({ instance, served }: Slot): boolean {
  return instance.answered?.() ?? served > 0
}
