import type { IncomingMessage, ServerResponse } from 'node:http'

import { errorMessage, FlexiError } from '../core/errors.ts'
import type { RequestContext, SocketFetcher, Upgrade } from '../core/fetcher.ts'
import type { Code, Instance, InvokeContext, InvokeResult } from '../core/function.ts'
import { LIMITS } from '../core/limits.ts'
import { Generation } from './generation.ts'
import { answersHttpOnly, shuttingDown } from './pool-errors.ts'
import { noCounts, type PoolLimits, type PoolOptions, type PoolState, type Slot } from './pool-options.ts'
import { WaitingLine } from './waiting-line.ts'

export type { PoolChange, PoolOptions, PoolState } from './pool-options.ts'

/** All instances of one function. Leases one a request, starts more when a queue forms, and swaps revisions without dropping a request. */
export class Pool implements SocketFetcher, AsyncDisposable {
  readonly #name: string
  readonly #limits: PoolLimits
  readonly #notes: { readonly function: string }
  readonly #options: PoolOptions
  readonly #counts = noCounts()
  readonly #line: WaitingLine
  readonly #draining = new Set<Generation>()
  #current: Generation | undefined
  /** Why there is no code: the first build failed. Requests get it until a build succeeds. */
  #unavailable: FlexiError | undefined
  /** While true, requests wait although there is a generation: an exclusive revision is being exchanged. */
  #gated = false
  #replacing: Promise<void> = Promise.resolve()
  #disposed = false

  constructor(options: PoolOptions) {
    this.#name = options.name
    this.#limits = { ...LIMITS, instancesKept: 1, ...options.limits }
    this.#notes = { function: options.name }
    this.#options = options
    this.#line = new WaitingLine({
      name: options.name,
      limits: this.#limits,
      counts: this.#counts,
      onWaiting: ({ since }) => this.#gated || this.#current?.scaleOut(this.#line.length, since),
    })
  }

  state(): PoolState {
    return {
      revision: this.#current?.code.revision,
      instances: this.#current?.size ?? 0,
      starting: this.#current?.starting ?? 0,
      inFlight: this.#current?.inFlight ?? 0,
      sockets: this.#current?.sockets ?? 0,
      queued: this.#line.length,
      draining: this.#draining.size,
      counts: this.#counts,
    }
  }

  async handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void> {
    context.note(this.#notes)
    let slot: Slot | undefined = this.#take()
    for (let handedBack = false; ; handedBack = true) {
      try {
        slot ??= await this.#wait(() => outgoing.destroyed, { first: handedBack })
      } catch (error) {
        this.refuse(error, { incoming, outgoing, context })
        return
      }
      // The lease ends when the exchange does, not when its head is out: the body may still be streaming.
      try {
        await slot.instance.handle(incoming, outgoing, context)
        return
      } catch (error) {
        if (!(error instanceof FlexiError) || error.code !== 'FLEXI_NOT_STARTED') throw error
      } finally {
        this.#release(slot)
      }
      slot = undefined
    }
  }

  async invoke(payload: Uint8Array, context: InvokeContext): Promise<InvokeResult> {
    const ahead = context.unlogged === true
    let slot = this.#take(ahead)
    for (let handedBack = false; ; handedBack = true) {
      const free = handedBack || !ahead
      slot ??= await this.#wait(() => context.signal.aborted, { first: handedBack, free })
      try {
        return await this.#invoke(slot, payload, context)
      } catch (error) {
        if (!(error instanceof FlexiError) || error.code !== 'FLEXI_NOT_STARTED') throw error
      } finally {
        this.#release(slot)
      }
      slot = undefined
    }
  }

  async #invoke({ instance }: Slot, payload: Uint8Array, context: InvokeContext): Promise<InvokeResult> {
    if (instance.invoke !== undefined) return await instance.invoke(payload, context)
    throw answersHttpOnly(this.#name)
  }

  /** An instance that can answer; starts one where there is none. @throws FlexiError why none can be had. */
  ready(): Promise<Instance> {
    return this.lease((instance) => Promise.resolve(instance))
  }

  /** Uses an instance, which is busy meanwhile, as with a request. @throws FlexiError why none can be had. */
  async lease<Result>(use: (instance: Instance) => Promise<Result>): Promise<Result> {
    const slot = this.#take(false) ?? (await this.#wait(() => false))
    return await use(slot.instance).finally(() => this.#release(slot))
  }

  /** Starts what is to be there unasked: the code in force says another number than before. */
  fill(): void {
    if (!this.#gated) this.#current?.fill()
  }

  /** Undefined while the code in force knows no other protocol: the offer is then declined, and the request answered as it is. */
  get upgrade(): Upgrade | undefined {
    return this.#current?.code.upgrades === true ? this.#upgrade : undefined
  }

  readonly #upgrade: Upgrade = (incoming, socket, head, context) => {
    context.note(this.#notes)
    const open = async (): Promise<void> => {
      const slot = this.#take() ?? (await this.#wait(() => socket.destroyed))
      this.#release(slot)
      slot.generation.holdSocket(slot, socket)
      slot.instance.upgrade?.(incoming, socket, head, context)
    }
    open().catch((error: unknown) => {
      this.#options.log.warn('upgrade.fail', { error: errorMessage(error) })
      if (!socket.destroyed)
        socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    })
  }

  /**
   * Points new requests at this code once an instance of it can answer; old instances finish what they hold, then close.
   * All or nothing: when the start fails the old code serves on.
   * @throws FlexiError what `code.start()` threw.
   */
  replace(code: Code, { warm = true } = {}): Promise<void> {
    return this.#inOrder(() => this.#exchange(code, warm))
  }

  /** Ends all instances once they have finished; requests wait meanwhile, and start others. */
  rest(): Promise<void> {
    return this.#inOrder(async () => {
      const old = this.#current
      if (old !== undefined && !this.#disposed) await this.#exchangeExclusively(old, old.revive(), false)
      this.#options.onChange?.({ kind: 'retired' })
    })
  }

  #inOrder(task: () => Promise<void>): Promise<void> {
    const next = this.#replacing.then(task)
    this.#replacing = next.catch(() => undefined)
    return next
  }

  /** There is no code to run, and why: what waits is answered with it. A pool that already serves keeps serving. */
  fail(error: FlexiError): void {
    if (this.#current !== undefined) return
    this.#unavailable = error
    this.#line.rejectAll(error)
  }

  /** Instances that nobody uses for so long are closed, from now on. */
  idleAfter(ms: number): void {
    if (this.#limits.idleInstanceMs === ms) return
    this.#limits.idleInstanceMs = ms
    for (const generation of this.#generations()) generation.limitsChanged()
  }

  /** Resolves when nothing runs or waits here, or at the limit. Nothing new may come meanwhile. */
  async drain(limitMs = this.#limits.drainMs): Promise<void> {
    const until = performance.now() + limitMs
    await this.#line.emptied(limitMs)
    const leftMs = Math.max(0, until - performance.now())
    await Promise.all(this.#generations().map((generation) => generation.drain(leftMs)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.#replacing
    this.#line.close(shuttingDown(this.#name))
    await Promise.all(this.#generations().map((generation) => generation.dispose()))
  }

  #generations(): readonly Generation[] {
    return [...this.#draining, ...(this.#current === undefined ? [] : [this.#current])]
  }

  async #exchange(code: Code, warm: boolean): Promise<void> {
    if (this.#disposed) return
    const old = this.#current
    const next = new Generation(code, {
      name: this.#name,
      limits: this.#limits,
      log: this.#options.log,
      counts: this.#counts,
      onFree: () => this.#serveQueue(),
      onStartFailed: (generation, error) => {
        if (generation === this.#current && generation.size === 0) this.#line.rejectAll(error)
      },
      onChange: this.#options.onChange,
    })
    if (code.exclusive && old !== undefined) await this.#exchangeExclusively(old, next, true)
    else {
      if (warm) await next.start()
      this.#current = next
      if (old !== undefined) this.#retire(old)
    }
    this.#unavailable = undefined
    this.#serveQueue()
  }

  /** Two revisions may not live at once: requests wait while the old one ends and the new one starts. */
  async #exchangeExclusively(old: Generation, next: Generation, warm: boolean): Promise<void> {
    this.#gated = true
    try {
      await old.drain(this.#limits.drainMs)
      await old.dispose()
      if (warm) await next.start()
      this.#current = next
    } catch (error) {
      this.#current = old.revive()
      throw error
    } finally {
      this.#gated = false
      this.#serveQueue()
    }
  }

  #retire(generation: Generation): void {
    this.#draining.add(generation)
    void generation
      .drain(this.#limits.drainMs)
      .then(() => generation.dispose())
      .catch((error: unknown) => this.#options.log.warn('instance.dispose', { error: errorMessage(error) }))
      .finally(() => this.#draining.delete(generation))
  }

  /** Answers as the provider would, where it says how. @throws the error itself, for the gateway to answer. */
  refuse(error: unknown, exchange: Parameters<NonNullable<Code['refuse']>>[1]): void {
    const code = this.#current?.code
    if (code?.refuse === undefined || !(error instanceof FlexiError)) throw error
    code.refuse(error, exchange)
  }

  #take(ahead = true): Slot | undefined {
    // Whoever waits goes first.
    if (this.#line.length > 0 || this.#gated) return undefined
    return this.#current?.take(ahead)
  }

  #release(slot: Slot): void {
    slot.generation.release(slot)
    if (this.#line.length > 0) this.#serveQueue()
  }

  /** `first` for one that was promised an instance before; `free` for one that is not handed over ahead. */
  async #wait(
    gone: () => boolean,
    { first = false, free = first }: { first?: boolean; free?: boolean } = {},
  ): Promise<Slot> {
    if (this.#unavailable !== undefined)
      await this.#options.mend?.().then(() => void setImmediate(() => this.#serveQueue()))
    const refusal = this.#refusal()
    if (refusal !== undefined) throw refusal
    const turn = this.#line.join(gone, { first, free })
    if (first) this.#serveQueue()
    if (!this.#gated) this.#current?.startFirst()
    return await turn
  }

  #refusal(): FlexiError | undefined {
    if (this.#disposed) return shuttingDown(this.#name)
    if (this.#unavailable !== undefined) return this.#unavailable
    if (!this.#gated) {
      const failure = this.#current?.recentFailure()
      if (failure !== undefined) return failure
    }
    return this.#line.full()
  }

  #serveQueue(): void {
    if (this.#gated || this.#current === undefined) return
    for (let head = this.#line.head; head !== undefined; head = this.#line.head) {
      const slot = head.gone() ? undefined : this.#current.take(!head.free)
      if (slot === undefined && !head.gone()) {
        this.#current.startFirst()
        return
      }
      this.#line.leave(slot)
    }
  }
}
