import type { IncomingMessage, ServerResponse } from 'node:http'

import { asFlexiError, errorMessage, type FlexiError } from '../../core/errors.ts'
import type { RequestContext, SocketFetcher, Upgrade } from '../../core/fetcher.ts'
import { LIMITS } from '../../core/limits.ts'
import { BackOff } from '../../instances/back-off.ts'
import { queueFull, shuttingDown } from '../../instances/pool-errors.ts'
import type { Pool, PoolChange } from '../../instances/pool.ts'
import type { VersionRecord, VersionStatus } from '../model.ts'
import type { StartOptions } from '../runtime.ts'
import type { DeployedVersionOptions } from './deployed-version-options.ts'
import { awaitHealth, HEALTH_TIMEOUT_MS } from './health.ts'
import { TailBuffer, withLogTail } from './log-tail.ts'
import { OpenPool, RESTART_DELAY_MS_MAX } from './open-pool.ts'
import { openedTooLong, refuseUpgrade, stopped } from './refusals.ts'
import { inTime, untilAborted } from './time-limit.ts'
import { VersionOutput } from './version-output.ts'
import { VersionState } from './version-state.ts'

/** How long what opens a version may take: unpacking, and what there is to build. */
const OPEN_MS_MAX = 60_000

/**
 * One version that is deployed. Until somebody asks it is no more than its record; then it opens, starts, and when nobody asks any more
 * its instances end. What changes it happens one after the other.
 */
export class DeployedVersion implements SocketFetcher {
  readonly name: string
  readonly #options: DeployedVersionOptions
  readonly #output: VersionOutput
  readonly #state: VersionState
  readonly #backOff: BackOff
  /** The same for every instance there will be. */
  readonly app = {}
  #record: VersionRecord
  #open: OpenPool | undefined
  #opening: Promise<OpenPool> | undefined
  #turn: Promise<unknown> = Promise.resolve()
  /** Ends a start that is under way. */
  #starting: AbortController | undefined
  /** Since it was last started, by somebody who has not started it. */
  #isAsked = false
  #retry: NodeJS.Timeout | undefined
  #waiting = 0

  constructor(record: VersionRecord, options: DeployedVersionOptions) {
    const { logs, clock, onState, workshop } = options
    this.name = `${record.name}@${record.version}`
    this.#record = record
    this.#options = options
    this.#output = new VersionOutput({ record: () => this.#record, logs, log: workshop.log, clock })
    this.#state = new VersionState({ stopped: record.wanted === 'stopped', clock, onState })
    this.#backOff = new BackOff({
      ...LIMITS,
      instancesKept: 0,
      ...options.limits,
      restartDelayMaxMs: RESTART_DELAY_MS_MAX,
    })
  }

  get record(): VersionRecord {
    return this.#record
  }

  /** Open, and nothing would be missed if it were not. */
  get isUnused(): boolean {
    return this.#open?.isUnused === true && this.#starting === undefined && this.#waiting === 0
  }

  status(): Omit<VersionStatus, 'aliases'> {
    const pool = this.#open?.pool.state()
    return {
      name: this.#record.name,
      version: this.#record.version,
      ...this.#state.told(),
      instances: pool?.instances ?? 0,
      inFlight: pool?.inFlight ?? 0,
    }
  }

  handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void> {
    const open = this.#open
    this.#isAsked = true
    if (open !== undefined && !this.#state.stopped) return open.pool.handle(incoming, outgoing, context)
    return this.#woken().then(({ pool }) => pool.handle(incoming, outgoing, context))
  }

  /** Opened for what is no request, as for one. @throws FlexiError why it cannot be. */
  async pool(): Promise<Pool> {
    this.#isAsked = true
    const { pool } = this.#state.stopped ? await this.#woken() : (this.#open ?? (await this.#woken()))
    return pool
  }

  /** Whether its code knows other protocols can be told only once it is open. */
  get upgrade(): Upgrade | undefined {
    if (this.#state.stopped) return undefined
    return this.#open === undefined ? this.#upgradeFirst : this.#open.pool.upgrade
  }

  readonly #upgradeFirst: Upgrade = (incoming, socket, head, context) => {
    this.#isAsked = true
    this.#woken().then(
      ({ pool }) => {
        if (pool.upgrade === undefined) refuseUpgrade(socket, '501 Not Implemented')
        else pool.upgrade(incoming, socket, head, context)
      },
      (error: unknown) => {
        this.#options.workshop.log.warn('upgrade.fail', { error: errorMessage(error) })
        refuseUpgrade(socket, '503 Service Unavailable')
      },
    )
  }

  start(options: StartOptions = {}): Promise<void> {
    return this.#inTurn(() => this.#start(options))
  }

  async stop(): Promise<void> {
    this.#state.set({ stopped: true }, undefined)
    this.#starting?.abort(shuttingDown(this.name))
    await this.#inTurn(async () => {
      // A start that came before this, and was still waiting for its turn, has taken it back.
      this.#state.set({ stopped: true }, undefined)
      await this.#shut({ drains: true })
    })
  }

  refresh(record: VersionRecord): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.#record
      this.#record = record
      try {
        await this.#opening?.catch(() => undefined)
        if (this.#open !== undefined) await this.#refreshed(this.#open)
        else if (this.#isWanted()) this.#startAgain(0)
      } catch (error) {
        this.#record = before
        throw error
      }
    })
  }

  async #refreshed(open: OpenPool): Promise<void> {
    await open.refresh()
    this.#state.set({}, open.pool.state())
  }

  /** Gives back what an open version holds; the next request opens it again. */
  hibernate(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.isUnused) await this.#shut({ drains: false })
    })
  }

  async close(): Promise<void> {
    this.#state.set({ stopped: true }, undefined)
    this.#starting?.abort(shuttingDown(this.name))
    await this.#inTurn(() => this.#shut({ drains: false }))
  }

  #inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(task)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #start({ onLog, signal }: StartOptions): Promise<void> {
    const tail = new TailBuffer()
    const hush = this.#output.listen((text) => {
      tail.push(text)
      onLog?.(text)
    })
    const starting = new AbortController()
    this.#isAsked = !this.#state.stopped && this.#state.state === 'running'
    this.#starting = starting
    this.#state.set({ stopped: false }, this.#open?.pool.state())
    const ended = signal === undefined ? starting.signal : AbortSignal.any([signal, starting.signal])
    try {
      await untilAborted(this.#started(ended), ended)
      this.#backOff.reset()
    } catch (error) {
      const failure = asFlexiError(error, 'FLEXI_DEPLOY')
      await this.#abandon(ended.aborted ? undefined : failure)
      throw withLogTail(failure, tail.lines())
    } finally {
      hush()
      this.#starting = undefined
    }
  }

  async #started(signal: AbortSignal): Promise<void> {
    const open = this.#open ?? (await this.#opened())
    await open.ready()
    const { pool } = open
    const { path, timeoutMs = HEALTH_TIMEOUT_MS } = this.#record.config.health
    if (path !== undefined) await awaitHealth(pool, { name: this.name, path, timeoutMs, signal })
  }

  /** A start has come to nothing. What others ask meanwhile is answered, or told why not, without it. */
  async #abandon(failure: FlexiError | undefined): Promise<void> {
    await this.#opening?.catch(() => undefined)
    if (this.#isAsked || (this.#open?.pool.state().sockets ?? 0) > 0) return
    await this.#shut({ drains: false })
    if (failure !== undefined) this.#failed(failure)
    else if (this.#isWanted()) this.#startAgain(this.#backOff.delayMs)
  }

  #failed(failure: FlexiError): void {
    this.#backOff.rest(failure)
    this.#state.failed(failure, this.#open?.pool.state())
    if (this.#isWanted()) this.#startAgain(this.#backOff.next())
  }

  /** Whether it is to run although nobody asks. */
  #isWanted(): boolean {
    return !this.#state.stopped && (this.#record.config.instances.min ?? 0) > 0
  }

  #startAgain(delayMs: number): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => {
      // What is wrong is in its log and its state.
      if (this.#isWanted()) this.start().catch(() => undefined)
    }, delayMs).unref()
  }

  /** For a request that finds it closed. @throws FlexiError why it cannot be opened, or could not a moment ago. */
  async #woken(): Promise<OpenPool> {
    if (this.#state.stopped) throw stopped(this.name)
    const refusal = this.#opening === undefined ? this.#backOff.refusal() : undefined
    if (refusal !== undefined) throw refusal
    if (this.#waiting >= LIMITS.queueLengthMax) throw queueFull(this.name, this.#waiting)
    this.#waiting += 1
    try {
      return await this.#opened()
    } finally {
      this.#waiting -= 1
    }
  }

  #opened(): Promise<OpenPool> {
    this.#opening ??= this.#openOnce().finally(() => {
      this.#opening = undefined
      // Whoever has waited for it starts an instance in this very turn.
      setImmediate(() => this.#state.set({ opening: this.#opening !== undefined }, this.#open?.pool.state()))
    })
    return this.#opening
  }

  async #openOnce(): Promise<OpenPool> {
    const { workshop, turn, limits } = this.#options
    this.#state.set({ opening: true }, undefined)
    const opening = OpenPool.open({
      record: () => this.#record,
      workshop,
      scope: { app: this.app, output: this.#output.line, report: this.#output.fault },
      turn,
      limits,
      onChange: (change) => this.#changed(change),
    })
    try {
      const open = await inTime(opening, OPEN_MS_MAX, () => openedTooLong(this.name, OPEN_MS_MAX))
      if (this.#state.stopped) throw stopped(this.name)
      this.#open = open
      return open
    } catch (error) {
      void opening.then((late) => late.close()).catch(() => undefined)
      const failure = asFlexiError(error, 'FLEXI_DEPLOY')
      if (!this.#state.stopped) this.#output.say('error', `cannot be opened: ${failure.message}`)
      if (!this.#state.stopped) this.#failed(failure)
      throw failure
    }
  }

  #changed(change: PoolChange): void {
    this.#output.changed(change)
    const { pool } = this.#open ?? {}
    if (pool === undefined) return
    this.#state.changed(change, pool.state())
    if (change.kind === 'started') this.#backOff.reset()
    if (change.kind === 'start-failed' && this.#isWanted()) this.#fillAgain(pool)
  }

  /** The pool tries again when somebody asks: one that is to run although nobody does is tried again here. */
  #fillAgain(pool: Pool): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => pool.fill(), this.#backOff.next()).unref()
  }

  async #shut({ drains }: { readonly drains: boolean }): Promise<void> {
    clearTimeout(this.#retry)
    await this.#opening?.catch(() => undefined)
    const open = this.#open
    this.#open = undefined
    if (drains) await open?.pool.drain()
    await open?.close()
    this.#state.set({}, undefined)
  }
}
