import { errorMessage } from '../../core/errors.ts'
import type { FunctionKey, VersionRecord } from '../model.ts'
import type { StartOptions } from '../runtime.ts'
import { bindRoutes } from './bind-routes.ts'
import { functionOf, keyText, versionsOf } from './keys.ts'
import type { Parts } from './parts.ts'
import { isRetired, ROUTES } from './switchboard.ts'

const KEEP_WARM_MS = 600_000
/** Of one function, besides those that aliases lead to. */
const WARM_MAX = 2

/** Brings versions up before anything leads to them, and lets go of those that nothing leads to any more. */
export class Running implements Disposable {
  readonly #parts: Parts
  /** Versions that were led to until lately, by function: who left last comes last. */
  readonly #warm = new Map<string, Map<string, NodeJS.Timeout>>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Resolves when a version that is stored can answer at its own host, and under the alias.
   * @throws FlexiError what the runtime says about one that does not come up.
   */
  async bringUp(record: VersionRecord, alias?: string, options?: StartOptions): Promise<void> {
    const { switchboard, runtime, store, scheduler } = this.#parts
    if (record.config.provider === ROUTES) {
      const { project } = functionOf(store, record.name)
      if (alias !== undefined) await bindRoutes(this.#parts, { record, project, alias })
      await bindRoutes(this.#parts, { record, project, alias: undefined })
      await switchboard.admit(record, { led: true })
      return
    }
    const isNew = switchboard.admitted(record) === undefined
    try {
      await switchboard.admit(record, { led: true })
      if (runtime.status(record)?.state !== 'running') await runtime.start(record, options)
      await scheduler.known.learn(record)
    } catch (error) {
      if (isNew) await this.takeDown(record)
      throw error
    }
  }

  /** Starts what is askable already. One that does not start stays askable: its supervisor tries again. */
  async warm(record: VersionRecord, signal: AbortSignal): Promise<void> {
    const { runtime } = this.#parts
    if (runtime.status(record)?.state !== 'running') await runtime.start(record, { signal })
  }

  /** The configuration of one that is askable is another. When that does not come up, the old one goes on. */
  async exchange(record: VersionRecord): Promise<void> {
    const { switchboard } = this.#parts
    const known = switchboard.admitted(record)
    if (known?.config.provider === record.config.provider) {
      await switchboard.admit(record, { led: true })
      return
    }
    await this.takeDown(record)
    try {
      await this.bringUp(record)
    } catch (error) {
      if (known !== undefined) await this.#putBack(known)
      throw error
    }
  }

  async #putBack(record: VersionRecord): Promise<void> {
    const { switchboard, closing, log } = this.#parts
    await switchboard.admit(record, { led: true })
    switchboard.publish(record.name)
    await this.warm(record, closing).catch((error: unknown) => {
      log.error('version.start', { version: keyText(record), message: errorMessage(error) })
    })
  }

  /** Ends all of it. To be published before: nothing leads to it then. */
  async takeDown(record: FunctionKey): Promise<void> {
    const { switchboard, runtime, scheduler } = this.#parts
    switchboard.dismiss(record)
    scheduler.known.forget(record)
    switchboard.tables.drop(record)
    await runtime.remove(record)
  }

  /** Nothing is called so any more: what it printed and stored goes. Failing costs room, and nothing else. */
  async forget(name: string): Promise<void> {
    const { switchboard, runtime, scheduler, log } = this.#parts
    switchboard.tables.remove(name)
    scheduler.forget(name)
    this.#warm.delete(name)
    await runtime.forget(name).catch((error: unknown) => {
      log.error('function.forget', { name, message: errorMessage(error) })
    })
  }

  /**
   * After an alias has moved: versions that it led to stay warm for a quick rollback, for a while and no more than a few of them. Then
   * they are as idle as one that nobody asks.
   */
  settle(name: string): void {
    const { switchboard, store } = this.#parts
    const led = new Set(store.aliases.of(name).flatMap(versionsOf))
    const warm = this.#stillWarm(name, led)
    for (const version of led) this.#change({ name, version })
    // Where no alias leads anywhere, versions were started one by one, and are what they are.
    const left = led.size === 0 ? [] : switchboard.versions(name).filter(({ version }) => !led.has(version))
    for (const record of left)
      if (!warm.has(record.version) && !isRetired(record)) warm.set(record.version, this.#cooling(record))
    for (const version of [...warm.keys()].slice(0, -WARM_MAX)) this.#cool({ name, version })
  }

  /** Without those that are led to again, or gone. */
  #stillWarm(name: string, led: ReadonlySet<string>): Map<string, NodeJS.Timeout> {
    const warm = this.#warm.get(name) ?? new Map<string, NodeJS.Timeout>()
    this.#warm.set(name, warm)
    for (const [version, timer] of warm) {
      if (!led.has(version) && this.#parts.switchboard.admitted({ name, version }) !== undefined) continue
      clearTimeout(timer)
      warm.delete(version)
    }
    return warm
  }

  [Symbol.dispose](): void {
    for (const warm of this.#warm.values()) for (const timer of warm.values()) clearTimeout(timer)
  }

  #cooling(record: VersionRecord): NodeJS.Timeout {
    const timer = setTimeout(() => this.#cool(record), this.#parts.keepWarmMs ?? KEEP_WARM_MS)
    return timer.unref()
  }

  #cool({ name, version }: FunctionKey): void {
    const warm = this.#warm.get(name)
    clearTimeout(warm?.get(version))
    warm?.delete(version)
    this.#change({ name, version })
  }

  /** In its turn, has what is askable be as warm as what leads to it asks for. */
  #change(key: FunctionKey): void {
    const { switchboard, store, lines, log, closing } = this.#parts
    const change = async (): Promise<void> => {
      const stored = store.versions.get(key)
      if (stored === undefined || switchboard.admitted(key) === undefined) return
      const led = store.aliases.of(key.name).flatMap(versionsOf).includes(key.version)
      await switchboard.admit(stored, { led })
    }
    lines.take(key.name, change, closing).catch((error: unknown) => {
      if (!closing.aborted)
        log.warn('version.change', { version: keyText(key), message: errorMessage(error) })
    })
  }
}
