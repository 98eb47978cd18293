import { createHash } from 'node:crypto'

import type { FunctionSchedule } from '../../core/schedule.ts'
import { FlexiError } from '../../core/errors.ts'
import type { Emulator } from '../../core/function.ts'
import { emulators } from '../../emulators/registry.ts'
import type { FunctionKey, VersionRecord } from '../model.ts'
import type { Runtime } from '../runtime.ts'
import type { Store } from '../store.ts'

/** Of one function: each costs the daemon time. */
const SCHEDULES_MAX = 50

interface Kept {
  /** Of what was read: a configuration that was overridden is read again. */
  readonly of: string
  readonly schedules: readonly FunctionSchedule[]
}

/** What versions are to be run by. Their files are read once, and what they say is kept beside the version. */
export class KnownSchedules {
  readonly #store: Pick<Store, 'settings'>
  readonly #runtime: Pick<Runtime, 'configOf'>

  constructor({
    store,
    runtime,
  }: {
    readonly store: Pick<Store, 'settings'>
    readonly runtime: Pick<Runtime, 'configOf'>
  }) {
    this.#store = store
    this.#runtime = runtime
  }

  /** Undefined where its files have not been read. */
  of(record: VersionRecord): readonly FunctionSchedule[] | undefined {
    if (emulatorOf(record)?.schedules === undefined) return []
    const text = this.#store.settings.get(settingOf(record))
    if (text === undefined) return undefined
    const kept = JSON.parse(text) as Kept
    return kept.of === fingerprintOf(record) ? kept.schedules : undefined
  }

  /**
   * Reads those of a version that the runtime knows, where they are not known. Resolves with whether they are.
   * @throws FlexiError FLEXI_CONFIG, and what unpacking throws.
   */
  async learn(record: VersionRecord): Promise<boolean> {
    if (this.of(record) !== undefined) return true
    const config = await this.#runtime.configOf(record)
    const provider = await emulatorOf(record)?.schedules?.()
    if (config === undefined || provider === undefined) return false
    const schedules = await provider.read(config)
    if (schedules.length > SCHEDULES_MAX) throw tooMany(record, schedules.length)
    const kept: Kept = { of: fingerprintOf(record), schedules }
    this.#store.settings.set(settingOf(record), JSON.stringify(kept))
    return true
  }

  forget(key: FunctionKey): void {
    this.#store.settings.remove(settingOf(key))
  }
}

function tooMany({ name }: VersionRecord, count: number): FlexiError {
  return new FlexiError(
    'FLEXI_CONFIG',
    `${name} has ${count} schedules, and a deployed function may have ${SCHEDULES_MAX}`,
    {
      hint: 'Write several times into one expression, or make several functions.',
    },
  )
}

/** Undefined for what is no function, such as the routes of a project. */
function emulatorOf({ config: { provider } }: VersionRecord): Emulator | undefined {
  return new Map<string, Emulator>(Object.entries(emulators)).get(provider)
}

function settingOf({ name, version }: FunctionKey): string {
  return `schedules:${name}@${version}`
}

function fingerprintOf({ artifact, config: { provider, options, environment } }: VersionRecord): string {
  const text = JSON.stringify([artifact, provider, options, environment])
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
