import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { FlexiError } from '../../core/errors.ts'
import type { FunctionConfig, InvokeContext, InvokeResult } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { FunctionEvent } from '../../core/schedule.ts'
import type { PoolOptions } from '../../instances/pool.ts'
import { openLogs, type OpenLogs } from '../logs/logs.ts'
import type { FunctionKey, VersionRecord } from '../model.ts'
import type { RunContext, Runtime, StartOptions } from '../runtime.ts'
import { DeployedVersion } from './deployed-version.ts'
import { ExclusiveTurn } from './exclusive-turn.ts'
import { openedConfig, storedState, versionState, type Workshop } from './opened-version.ts'
import { removeOwned } from './remove-owned.ts'
import { runEvent } from './run-event.ts'
import { lockFile } from './state-lock.ts'

/** Versions that nobody uses but that are still open, to start as fast as they can. The one that was used longest ago is closed. */
const OPEN_UNUSED_MAX = 32

export interface RuntimeOptions extends Workshop {
  /** A folder a function is made in it, for what it prints. */
  readonly logsDirectory: AbsolutePath
  /** Of the log of one function, on disk. */
  readonly logBytesMax?: number | undefined
  /** Of every version's pool. */
  readonly limits?: PoolOptions['limits']
  /** Milliseconds since the epoch. */
  readonly clock?: (() => number) | undefined
  readonly openUnusedMax?: number | undefined
}

/** Opens the runtime. Nothing runs before it is asked for. */
export function openRuntime(options: RuntimeOptions): Runtime {
  return new FunctionRuntime(options)
}

class FunctionRuntime implements Runtime {
  readonly logs: OpenLogs
  readonly #options: RuntimeOptions
  readonly #versions = new Map<string, DeployedVersion>()
  /** By the function's name. */
  readonly #turns = new Map<string, ExclusiveTurn>()
  readonly #listeners = new Set<(key: FunctionKey) => void>()
  #trimming: NodeJS.Immediate | undefined

  constructor(options: RuntimeOptions) {
    this.#options = options
    this.logs = openLogs({
      directory: options.logsDirectory,
      functionBytesMax: options.logBytesMax,
      log: options.log,
    })
  }

  add(record: VersionRecord): void {
    const id = idOf(record)
    if (this.#versions.has(id)) return
    const { limits, clock = Date.now } = this.#options
    const key = { name: record.name, version: record.version }
    const version = new DeployedVersion(record, {
      workshop: this.#options,
      logs: this.logs,
      turn: this.#turnOf(record.name),
      limits,
      clock,
      onState: () => this.#onState(key),
    })
    this.#versions.set(id, version)
  }

  async start(key: FunctionKey, options?: StartOptions): Promise<void> {
    await this.#known(key).start(options)
  }

  async stop(key: FunctionKey): Promise<void> {
    await this.#known(key).stop()
  }

  async remove(key: FunctionKey): Promise<void> {
    const version = this.#versions.get(idOf(key))
    if (version === undefined) return
    await version.stop()
    if (this.#versions.get(idOf(key)) === version) this.#versions.delete(idOf(key))
    await rm(versionState(this.#options.stateDirectory, key), { recursive: true, force: true })
  }

  async refresh(record: VersionRecord): Promise<void> {
    await this.#known(record).refresh(record)
  }

  fetcher(key: FunctionKey): DeployedVersion | undefined {
    return this.#versions.get(idOf(key))
  }

  async configOf(key: FunctionKey): Promise<FunctionConfig | undefined> {
    const version = this.#versions.get(idOf(key))
    return version === undefined ? undefined : await openedConfig(version.record, this.#options)
  }

  async invoke(key: FunctionKey, payload: Uint8Array, context: InvokeContext): Promise<InvokeResult> {
    const pool = await this.#known(key).pool()
    return await pool.invoke(payload, context)
  }

  async run(key: FunctionKey, event: FunctionEvent, context: RunContext): Promise<InvokeResult> {
    return await runEvent(this.#known(key), event, context)
  }

  status(key: FunctionKey): ReturnType<DeployedVersion['status']> | undefined {
    return this.#versions.get(idOf(key))?.status()
  }

  statuses(): readonly ReturnType<DeployedVersion['status']>[] {
    return [...this.#versions.values()].map((version) => version.status())
  }

  onState(listener: (key: FunctionKey) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async forget(name: string): Promise<void> {
    const path = join(this.#options.stateDirectory, name)
    await Promise.all([
      this.logs.remove(name),
      removeOwned(path),
      rm(`${path}.lock`, { force: true }),
      rm(join(this.#options.stateDirectory, '.versions', name), { recursive: true, force: true }),
      removeOwned(storedState(this.#options.stateDirectory, name)),
    ])
    this.#turns.delete(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearImmediate(this.#trimming)
    this.#listeners.clear()
    await Promise.all([...this.#versions.values()].map((version) => version.close()))
    clearImmediate(this.#trimming)
    await this.logs[Symbol.asyncDispose]()
  }

  #known(key: FunctionKey): DeployedVersion {
    const version = this.#versions.get(idOf(key))
    if (version !== undefined) return version
    throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `there is no ${idOf(key)}`)
  }

  #turnOf(name: string): ExclusiveTurn {
    const known = this.#turns.get(name)
    if (known !== undefined) return known
    const path = join(this.#options.stateDirectory, `${name}.lock`) as AbsolutePath
    const turn = new ExclusiveTurn((onWanted) => lockFile(path, { name, onWanted }))
    this.#turns.set(name, turn)
    return turn
  }

  #onState(key: FunctionKey): void {
    for (const listener of this.#listeners) listener(key)
    // Not in this turn: whoever has opened a version is about to use it.
    this.#trimming ??= setImmediate(() => this.#trim())
  }

  #trim(): void {
    this.#trimming = undefined
    const unused = [...this.#versions.values()]
      .filter((version) => version.isUnused)
      .toSorted((one, other) => other.status().since - one.status().since)
    for (const version of unused.slice(this.#options.openUnusedMax ?? OPEN_UNUSED_MAX))
      void version.hibernate()
  }
}

function idOf({ name, version }: FunctionKey): string {
  return `${name}@${version}`
}
