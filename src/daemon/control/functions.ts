import type { FunctionDetail, FunctionSummary } from '../control-plane.ts'
import type { Caller, FunctionRecord, Group, Permission, VersionRecord } from '../model.ts'
import { removePins } from './bind-routes.ts'
import { functionOf } from './keys.ts'
import type { Act } from './ledger.ts'
import { LIVE, type Parts } from './parts.ts'
import type { Running } from './running.ts'
import { statusOf } from './status.ts'
import { aliasUrl } from './urls.ts'

/** Functions as wholes. */
export class Functions {
  readonly #parts: Parts
  readonly #running: Running

  constructor(parts: Parts, running: Running) {
    this.#parts = parts
    this.#running = running
  }

  list({ project }: { readonly project?: string | undefined } = {}): readonly FunctionSummary[] {
    const { store } = this.#parts
    const rows = store.functions.all().filter((row) => project === undefined || row.project === project)
    return rows.map((row) => this.#summary(row, store.versions.of(row.name)))
  }

  detail(name: string): FunctionDetail {
    const { store } = this.#parts
    const row = functionOf(store, name)
    const versions = newestFirst(store.versions.of(name))
    const statuses = versions.map((record) => {
      const { createdAt, createdBy, artifact } = record
      return { ...statusOf(this.#parts, record), createdAt, createdBy, artifact }
    })
    const schedules = this.#parts.scheduler.times(name)
    return { ...this.#summary(row, versions), schedules, statuses }
  }

  setGroup(caller: Caller, name: string, group: Group | null): Promise<void> {
    return this.#change(caller, { action: 'function.group', object: name, needs: 'write' }, (act) => {
      const { store, ledger } = this.#parts
      store.transaction(() => {
        store.functions.setGroup(name, group ?? undefined)
        ledger.done(act, { group })
      })
      return Promise.resolve()
    })
  }

  remove(caller: Caller, name: string): Promise<void> {
    return this.#change(caller, { action: 'function.remove', object: name, needs: 'remove' }, async (act) => {
      const { store, ledger, switchboard } = this.#parts
      const versions = store.versions.of(name)
      store.transaction(() => {
        for (const record of versions) removePins(store, record)
        switchboard.domains.release(name)
        store.settings.remove(`counted:${name}`)
        store.functions.remove(name)
        ledger.done(act, { versions: versions.map(({ version }) => version) })
      })
      switchboard.domains.adopt()
      for (const record of versions) switchboard.dismiss(record)
      switchboard.publish(name)
      await Promise.all(versions.map((record) => this.#running.takeDown(record)))
      await this.#running.forget(name)
    })
  }

  #summary(row: FunctionRecord, versions: readonly VersionRecord[]): FunctionSummary {
    const { store } = this.#parts
    const aliases = store.aliases.of(row.name)
    const live = aliases.find(({ alias }) => alias === LIVE)
    const shown = versions.find(({ version }) => version === live?.version) ?? newestFirst(versions)[0]
    return {
      ...row,
      provider: shown?.config.provider ?? '',
      versions: versions.length,
      aliases,
      state: shown === undefined ? 'stopped' : statusOf(this.#parts, shown).state,
      url: aliasUrl(this.#parts, row.name, LIVE),
    }
  }

  #change(
    caller: Caller,
    { action, object, needs }: Omit<Act, 'caller'> & { readonly needs: Permission },
    task: (act: Act) => Promise<void>,
  ): Promise<void> {
    const { ledger, lines, accounts, store } = this.#parts
    const act = { caller, action, object }
    return ledger.attempt(act, () =>
      lines.take(object, () => {
        accounts.demand(caller, needs, functionOf(store, object).group)
        return task(act)
      }),
    )
  }
}

/** Of one moment, the one that was added last. */
function newestFirst(versions: readonly VersionRecord[]): readonly VersionRecord[] {
  return versions.toReversed().sort((one, other) => other.createdAt - one.createdAt)
}
