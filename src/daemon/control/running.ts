import { errorMessage } from '../../core/errors.ts'
import type { VersionRecord } from '../model.ts'
import type { StartOptions } from '../runtime.ts'
import { bindRoutes } from './bind-routes.ts'
import { functionOf, versionsOf } from './keys.ts'
import type { Parts } from './parts.ts'
import { ROUTES } from './switchboard.ts'

const KEEP_WARM_MS = 600_000

/** Brings versions up before anything leads to them, and lets go of those that nothing leads to any more. */
export class Running implements Disposable {
  readonly #parts: Parts
  readonly #cooling = new Map<string, NodeJS.Timeout>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Resolves when a version that is stored can answer at its own host, and under the alias.
   * @throws FlexiError what the runtime says about one that does not come up.
   */
  async bringUp(record: VersionRecord, alias?: string, options?: StartOptions): Promise<void> {
    const { switchboard, runtime, store } = this.#parts
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
    if (record.config.provider === ROUTES || known?.config.provider !== record.config.provider) {
      await this.takeDown(record)
      await this.bringUp(record)
    } else await switchboard.admit(record, { led: true })
  }

  /** Ends all of it. To be published before: nothing leads to it then. */
  async takeDown(record: Pick<VersionRecord, 'name' | 'version'>): Promise<void> {
    const { switchboard, runtime } = this.#parts
    switchboard.dismiss(record)
    switchboard.tables.drop(record)
    await runtime.remove(record)
  }

  /** Nothing is called so any more: what it printed and stored goes. Failing costs room, and nothing else. */
  async forget(name: string): Promise<void> {
    const { switchboard, runtime, log } = this.#parts
    switchboard.tables.remove(name)
    await runtime.forget(name).catch((error: unknown) => {
      log.error('function.forget', { name, message: errorMessage(error) })
    })
  }

  /** After an alias has moved: what runs unasked, and is not led to any more, is let go of after a while. */
  settle(name: string): void {
    const { switchboard, store, keepWarmMs = KEEP_WARM_MS } = this.#parts
    const led = new Set(store.aliases.of(name).flatMap(versionsOf))
    for (const record of switchboard.versions(name)) {
      const key = `${name}@${record.version}`
      const warm = this.#cooling.get(key)
      if (led.has(record.version) || (record.config.instances.min ?? 0) === 0) {
        clearTimeout(warm)
        this.#cooling.delete(key)
      } else if (warm === undefined && led.size > 0) {
        const timer = setTimeout(() => this.#cool(record), keepWarmMs)
        timer.unref()
        this.#cooling.set(key, timer)
      }
    }
  }

  [Symbol.dispose](): void {
    for (const timer of this.#cooling.values()) clearTimeout(timer)
  }

  #cool(record: VersionRecord): void {
    const { switchboard, log } = this.#parts
    this.#cooling.delete(`${record.name}@${record.version}`)
    if (switchboard.admitted(record) === undefined) return
    switchboard.admit(record, { led: false }).catch((error: unknown) => {
      log.warn('version.cool', { name: record.name, version: record.version, message: errorMessage(error) })
    })
  }
}
