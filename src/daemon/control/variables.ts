import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { VariableChanges } from '../control-plane.ts'
import type { Caller, VariableRecord, VersionRecord } from '../model.ts'
import { checkLabel, functionOf, keyText, versionsOf } from './keys.ts'
import type { Act } from './ledger.ts'
import type { Parts } from './parts.ts'
import { demandNetwork } from './permissions.ts'
import { ROUTES } from './switchboard.ts'

type SetVariable = VariableRecord & { readonly value: string }

/** What functions find in their environment. Values of secrets leave the store for the function alone. */
export class Variables {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  of(name: string): readonly VariableRecord[] {
    const variables = this.#parts.store.variables.of(name)
    // They may be there before their function is.
    if (variables.length === 0) functionOf(this.#parts.store, name)
    return variables
  }

  /** For a function that is not there yet as well: its first deployment finds them. */
  set(caller: Caller, name: string, changes: VariableChanges): Promise<void> {
    const { ledger, lines, accounts, store } = this.#parts
    const act = { caller, action: changes.secret ? 'secret.set' : 'variable.set', object: name }
    return ledger.attempt(act, () =>
      lines.take(name, async () => {
        checkLabel('a function', name)
        accounts.demand(caller, 'write', store.functions.get(name)?.group)
        // Some of them are code, such as NODE_OPTIONS.
        for (const { config } of store.versions.of(name)) demandNetwork(caller, config)
        const before = this.#snapshot(name, Object.keys(changes.values))
        store.transaction(() => this.#write(act, name, changes))
        await this.#refresh(name, () => {
          store.transaction(() => this.#restore(name, before, changes))
        })
      }),
    )
  }

  #write(act: Act, name: string, { secret, values }: VariableChanges): void {
    const { store, ledger } = this.#parts
    const at = this.#parts.clock()
    const by = act.caller.user
    for (const [variable, value] of Object.entries(values)) {
      if (value === null) store.variables.remove(name, variable)
      else store.variables.set({ function: name, name: variable, secret, value, setAt: at, setBy: by })
    }
    const taken = Object.keys(values).filter((variable) => values[variable] === null)
    ledger.done(act, {
      set: Object.keys(values).filter((variable) => !taken.includes(variable)),
      removed: taken,
    })
  }

  #snapshot(name: string, variables: readonly string[]): readonly SetVariable[] {
    const { store } = this.#parts
    const values = store.variables.environment(name)
    return store.variables.of(name).flatMap((record) => {
      const value = values[record.name]
      return variables.includes(record.name) && value !== undefined ? [{ ...record, value }] : []
    })
  }

  #restore(name: string, before: readonly SetVariable[], { values }: VariableChanges): void {
    const { variables } = this.#parts.store
    for (const variable of Object.keys(values)) variables.remove(name, variable)
    for (const record of before) variables.set(record)
  }

  /** What runs is exchanged. Where a version that an alias leads to does not come up with them, everything is as before. */
  async #refresh(name: string, restore: () => void): Promise<void> {
    const { store, switchboard, runtime, log } = this.#parts
    const led = new Set(store.aliases.of(name).flatMap(versionsOf))
    const runs = switchboard.versions(name).filter(({ config }) => config.provider !== ROUTES)
    const refresh = async (record: VersionRecord): Promise<void> => {
      try {
        await runtime.refresh(record)
      } catch (error) {
        if (led.has(record.version)) throw error
        log.warn('version.refresh', { version: keyText(record), message: errorMessage(error) })
      }
    }
    const ends = await Promise.allSettled(runs.map(refresh))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed === undefined) return
    restore()
    await Promise.allSettled(runs.map(refresh))
    throw new FlexiError('FLEXI_DEPLOY', `${name} does not start with it: ${errorMessage(failed.reason)}`, {
      hint: 'Nothing was changed. Look at its log with "flexi logs".',
      cause: failed.reason,
    })
  }
}
