import { createHash } from 'node:crypto'

import { FlexiError } from '../../core/errors.ts'
import type { Code } from '../../core/function.ts'
import { LIMITS } from '../../core/limits.ts'
import { Pool, type PoolChange, type PoolOptions } from '../../instances/pool.ts'
import type { VersionRecord } from '../model.ts'
import type { ExclusiveTurn, Holder } from './exclusive-turn.ts'
import {
  instancesMax,
  openVersion,
  type OpenedVersion,
  type VersionScope,
  type Workshop,
} from './opened-version.ts'

/** Restarts of what keeps ending come as late as this, unless somebody asks. */
export const RESTART_DELAY_MS_MAX = 60_000

export interface OpenPoolOptions {
  /** As it is now. */
  readonly record: () => VersionRecord
  readonly workshop: Workshop
  readonly scope: VersionScope
  readonly turn: ExclusiveTurn
  readonly limits?: PoolOptions['limits']
  readonly onChange: (change: PoolChange) => void
}

/** The pool of a version that is open, and what its instances run on. */
export class OpenPool implements Holder {
  readonly name: string
  readonly pool: Pool
  readonly #options: OpenPoolOptions
  #fingerprint: string
  #opened: OpenedVersion
  #whenChanged: ((change: PoolChange) => void) | undefined
  /** Of earlier environments, while their last instances finish. */
  readonly #old = new Set<OpenedVersion>()

  private constructor(options: OpenPoolOptions, opened: OpenedVersion, fingerprint: string) {
    const { name, version } = options.record()
    this.name = `${name}@${version}`
    this.#options = options
    this.#opened = opened
    this.#fingerprint = fingerprint
    this.pool = new Pool({
      name: this.name,
      log: options.workshop.log,
      limits: {
        instancesKept: 0,
        restartDelayMaxMs: RESTART_DELAY_MS_MAX,
        ...options.limits,
        idleInstanceMs: idleMsOf(options),
      },
      onChange: (change) => {
        options.onChange(change)
        this.#whenChanged?.(change)
      },
    })
  }

  /** Starts nothing. @throws FlexiError what is wrong with its code, its configuration or its sandbox. */
  static async open(options: OpenPoolOptions): Promise<OpenPool> {
    const fingerprint = fingerprintOf(options)
    const opened = await openVersion(options.record(), options.workshop, options.scope)
    const open = new OpenPool(options, opened, fingerprint)
    await open.pool.replace(open.#codeOf(opened), { warm: false })
    return open
  }

  /** Whether closing it would be noticed by nobody. */
  get isUnused(): boolean {
    const { instances, starting, inFlight, sockets, queued, draining } = this.pool.state()
    return instances + starting + inFlight + sockets + queued + draining === 0
  }

  /**
   * Its configuration or environment is another: new instances take over without a failed request, where that matters to them.
   * @throws FlexiError why it cannot run that way; it runs on as it was.
   */
  async refresh(): Promise<void> {
    const fingerprint = fingerprintOf(this.#options)
    this.pool.idleAfter(idleMsOf(this.#options))
    if (fingerprint === this.#fingerprint) {
      this.pool.fill()
      return
    }
    const opened = await openVersion(this.#options.record(), this.#options.workshop, this.#options.scope)
    try {
      const code = this.#codeOf(opened)
      await this.pool.replace(code, { warm: this.#isWorthStarting(code) })
    } catch (error) {
      await opened.close()
      throw error
    }
    const old = this.#opened
    this.#opened = opened
    this.#fingerprint = fingerprint
    for (const one of this.#old) if (one.instances === 0) this.#old.delete(one)
    this.#old.add(old)
    old.retire()
  }

  /** Whether somebody would wait for the first instance. One that nobody is sent to any more is started when it is asked. */
  #isWorthStarting({ instancesMin = 0 }: Code): boolean {
    const { instances, starting, inFlight, sockets, queued } = this.pool.state()
    if (this.#options.record().config.instances.min === 0) return inFlight + sockets + queued > 0
    return instances + starting + instancesMin > 0
  }

  /** Resolves when all instances that are to be there unasked are, and one at least. @throws FlexiError why they are not. */
  async ready(): Promise<void> {
    await this.pool.ready()
    const { instancesMin = 0, instancesMax: most = Infinity } = this.#codeOf(this.#opened)
    const wanted = Math.min(Math.max(instancesMin, 1), most)
    await new Promise<void>((resolve, reject) => {
      const check = (change?: PoolChange): void => {
        if (change?.kind === 'start-failed') reject(change.error)
        if (change?.kind === 'ended') reject(endedEarly(this.name, change.error))
        if (this.pool.state().instances >= wanted) resolve()
      }
      this.#whenChanged = check
      check()
    })
    this.#whenChanged = undefined
  }

  rest(): Promise<void> {
    return this.pool.rest()
  }

  /** Ends it. What is under way has been drained before, or breaks. */
  async close(): Promise<void> {
    await this.pool[Symbol.asyncDispose]()
    await Promise.all([this.#opened, ...this.#old].map((opened) => opened.close()))
    await this.#options.turn.leave(this)
  }

  #codeOf({ code }: OpenedVersion): Code {
    const { record, turn } = this.#options
    const enter = async (): ReturnType<Code['start']> => {
      await turn.enter(this)
      return await code.start()
    }
    return {
      ...code,
      start: code.exclusive ? enter : () => code.start(),
      instancesMax: instancesMax(record(), code),
      get instancesMin() {
        return record().config.instances.min ?? code.instancesMin ?? 0
      },
    }
  }
}

function endedEarly(name: string, cause: Error | undefined): FlexiError {
  const how = cause === undefined ? '' : `: ${cause.message}`
  return new FlexiError('FLEXI_FUNCTION_CRASHED', `${name} has ended while it was started${how}`, { cause })
}

function idleMsOf({ record, limits }: OpenPoolOptions): number {
  return record().config.instances.idleMs ?? limits?.idleInstanceMs ?? LIMITS.idleInstanceMs
}

/** Of everything that instances see. A digest: it has secrets in it. */
function fingerprintOf({ record, workshop }: OpenPoolOptions): string {
  const { name, artifact, config } = record()
  const { instances: _instances, health: _health, group: _group, ...seen } = config
  const text = JSON.stringify([artifact, seen, workshop.variables(name), config.instances.max])
  return createHash('sha256').update(text).digest('hex')
}
