import { isDeepStrictEqual } from 'node:util'
import type { Readable } from 'node:stream'

import { FlexiError } from '../../core/errors.ts'
import type {
  Caller,
  FunctionKey,
  Permission,
  VersionConfig,
  VersionRecord,
  VersionStatus,
} from '../model.ts'
import { defaultConfig } from '../api/schemas/config.ts'
import { checkProvider } from './deploy-plan.ts'
import { checkLabel, findVersion, functionOf, keyText, versionOf, versionsOf } from './keys.ts'
import type { Act } from './ledger.ts'
import { demandNetwork, ownGroup } from './permissions.ts'
import type { Parts } from './parts.ts'
import { removePins } from './bind-routes.ts'
import type { Running } from './running.ts'
import { statusOf } from './status.ts'
import { ROUTES } from './switchboard.ts'

/** YFASS's verbs for one version. */
export class Versions {
  readonly #parts: Parts
  readonly #running: Running

  constructor(parts: Parts, running: Running) {
    this.#parts = parts
    this.#running = running
  }

  async upload(caller: Caller, key: FunctionKey, content: Readable): Promise<void> {
    const { artifacts, ledger, lines } = this.#parts
    const act = { caller, action: 'version.upload', object: keyText(key) }
    await ledger.attempt(act, async () => {
      this.#checkUpload(caller, key)
      const { digest } = await artifacts.receive(content, { user: caller.user })
      // What cannot be unpacked is not registered.
      await artifacts.unpack(digest)
      await lines.take(key.name, async () => {
        this.#checkUpload(caller, key)
        const record = { ...key, artifact: digest, config: defaultConfig(), wanted: 'stopped' as const }
        await Promise.resolve(this.#register(act, record))
      })
    })
  }

  get(reference: FunctionKey): { readonly version: VersionRecord; readonly aliases: readonly string[] } {
    const { store } = this.#parts
    const record = versionOf(store, reference)
    const { group } = functionOf(store, record.name)
    const version = { ...record, config: { ...record.config, ...(group === undefined ? {} : { group }) } }
    return { version, aliases: this.#aliasesOf(record) }
  }

  async override(caller: Caller, reference: FunctionKey, given: VersionConfig): Promise<void> {
    const { store, ledger, switchboard } = this.#parts
    await this.#change(caller, 'version.override', reference, async (act, record) => {
      const { group, ...config } = given
      checkOverride(record, config)
      demandNetwork(caller, config)
      if (isDeepStrictEqual(config, record.config)) {
        store.transaction(() => this.#setGroup(act, record.name, group))
        return
      }
      const next = { ...record, config }
      const known = switchboard.admitted(record)
      // What runs is exchanged first: a configuration that does not come up changes nothing.
      if (known !== undefined) await this.#running.exchange(next)
      store.transaction(() => {
        store.versions.setConfig(record, config)
        this.#setGroup(act, record.name, group)
        ledger.done(act)
      })
      this.#publish(record.name)
    })
  }

  async start(caller: Caller, reference: FunctionKey): Promise<void> {
    const { store, ledger, runtime } = this.#parts
    await this.#change(caller, 'version.start', reference, async (act, record) => {
      const state = record.wanted === 'running' ? runtime.status(record)?.state : undefined
      if (state === 'running' || state === 'starting')
        throw new FlexiError('FLEXI_CONFLICT', `${keyText(record)} is running already`)
      await this.#running.bringUp(record)
      for (const alias of this.#aliasesOf(record)) await this.#running.bringUp(record, alias)
      store.transaction(() => {
        store.versions.setWanted(record, 'running')
        ledger.done(act)
      })
      this.#publish(record.name)
    })
  }

  async stop(caller: Caller, reference: FunctionKey): Promise<void> {
    const { store, ledger } = this.#parts
    await this.#change(caller, 'version.stop', reference, async (act, record) => {
      if (record.wanted === 'stopped')
        throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `${keyText(record)} is not running`)
      store.transaction(() => {
        store.versions.setWanted(record, 'stopped')
        ledger.done(act)
      })
      await this.#withdraw(record)
    })
  }

  async remove(caller: Caller, reference: FunctionKey): Promise<void> {
    const { store, ledger } = this.#parts
    await this.#change(caller, 'version.remove', reference, async (act, record) => {
      store.transaction(() => {
        for (const alias of store.aliases.of(record.name)) {
          if (alias.version === record.version) store.aliases.remove(record.name, alias.alias)
          else if (versionsOf(alias).includes(record.version))
            store.aliases.set({ ...alias, second: undefined })
        }
        removePins(store, record)
        store.versions.remove(record)
        if (this.#isEmpty(record.name)) this.#dropFunction(record.name)
        ledger.done(act)
      })
      this.#parts.switchboard.domains.adopt()
      await this.#withdraw(record)
      if (store.functions.get(record.name) === undefined) await this.#running.forget(record.name)
    })
  }

  status(reference: FunctionKey): VersionStatus | undefined {
    const record = findVersion(this.#parts.store, reference)
    return record === undefined ? undefined : statusOf(this.#parts, record)
  }

  #checkUpload(caller: Caller, key: FunctionKey): void {
    const { store, accounts, signatures } = this.#parts
    checkLabel('a function', key.name)
    checkLabel('a version', key.version)
    accounts.demand(caller, 'write', store.functions.get(key.name)?.group)
    if (signatures.required)
      throw new FlexiError('FLEXI_SIGNATURE', 'this daemon takes signed deployments alone', {
        hint: 'Use "flexi deploy --sign KEY".',
      })
    if (store.versions.get(key) !== undefined)
      throw new FlexiError('FLEXI_CONFLICT', `${keyText(key)} is there already`, {
        hint: 'Upload it as another version: versions never change.',
      })
    if (store.aliases.get(key.name, key.version) !== undefined)
      throw new FlexiError('FLEXI_CONFLICT', `${key.name} has an alias that is called ${key.version}`)
  }

  #register(act: Act, record: Omit<VersionRecord, 'createdAt' | 'createdBy'>): void {
    const { store, ledger } = this.#parts
    const made = { createdAt: this.#parts.clock(), createdBy: act.caller.user }
    store.transaction(() => {
      if (store.functions.get(record.name) === undefined)
        store.functions.add({ name: record.name, group: ownGroup(act.caller), ...made })
      store.versions.add({ ...record, ...made })
      ledger.done(act, { artifact: record.artifact })
    })
  }

  /** The function's own: a version has none of its own. */
  #setGroup(act: Act, name: string, group: VersionConfig['group']): void {
    const { store, ledger } = this.#parts
    if (store.functions.get(name)?.group === group) return
    store.functions.setGroup(name, group)
    ledger.done({ ...act, action: 'function.group', object: name }, { group: group ?? null })
  }

  #isEmpty(name: string): boolean {
    const { store } = this.#parts
    return store.versions.of(name).length === 0 && store.variables.of(name).length === 0
  }

  #dropFunction(name: string): void {
    const { store, switchboard } = this.#parts
    switchboard.domains.release(name)
    store.settings.remove(`counted:${name}`)
    store.functions.remove(name)
  }

  #aliasesOf({ name, version }: FunctionKey): readonly string[] {
    const aliases = this.#parts.store.aliases.of(name)
    return aliases.flatMap((row) => (row.version === version ? [row.alias] : []))
  }

  async #withdraw(record: VersionRecord): Promise<void> {
    this.#parts.switchboard.dismiss(record)
    this.#publish(record.name)
    await this.#running.takeDown(record)
  }

  #publish(name: string): void {
    this.#parts.switchboard.publish(name)
    this.#running.settle(name)
  }

  async #change(
    caller: Caller,
    action: keyof typeof NEEDS,
    reference: FunctionKey,
    task: (act: Act, record: VersionRecord) => Promise<void>,
  ): Promise<void> {
    const { ledger, lines, accounts, store } = this.#parts
    const act = { caller, action, object: keyText(reference) }
    await ledger.attempt(act, () =>
      lines.take(reference.name, () => {
        const record = versionOf(store, reference)
        accounts.demand(caller, NEEDS[action], functionOf(store, record.name).group)
        return task({ ...act, object: keyText(record) }, record)
      }),
    )
  }
}

const NEEDS = {
  'version.override': 'write',
  'version.start': 'execute',
  'version.stop': 'execute',
  'version.remove': 'remove',
} as const satisfies Record<string, Permission>

/** @throws FlexiError FLEXI_USAGE for what no start could take. */
function checkOverride({ name, config: { provider } }: VersionRecord, next: VersionConfig): void {
  checkProvider(name, next.provider)
  if (provider !== ROUTES && next.provider !== ROUTES) return
  throw new FlexiError('FLEXI_USAGE', `${name}: the routes of a project are not overridden`, {
    hint: 'Deploy the project again.',
  })
}
