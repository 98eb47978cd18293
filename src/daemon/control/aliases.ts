import { FlexiError } from '../../core/errors.ts'
import type { AliasTarget } from '../control-plane.ts'
import type { AliasMove, AliasRecord, Caller, FunctionKey, VersionRecord } from '../model.ts'
import { checkLabel, functionOf, keyText, versionOf, versionsOf } from './keys.ts'
import type { Act } from './ledger.ts'
import { LIVE, type Parts } from './parts.ts'
import type { Running } from './running.ts'

/** Where names lead, and how they are moved without a request lost. */
export class Aliases {
  readonly #parts: Parts
  readonly #running: Running

  constructor(parts: Parts, running: Running) {
    this.#parts = parts
    this.#running = running
  }

  set(caller: Caller, name: string, alias: string, to: AliasTarget): Promise<AliasRecord> {
    const act = { caller, action: 'alias.set', object: `${name}@${alias}` }
    return this.#change(act, name, () => this.#move(act, name, alias, to))
  }

  rollback(caller: Caller, name: string, alias: string, to?: string): Promise<AliasRecord> {
    const act = { caller, action: 'alias.rollback', object: `${name}@${alias}` }
    return this.#change(act, name, () => {
      const target = to === undefined ? this.#before(name, alias) : { version: to }
      return this.#move(act, name, alias, target)
    })
  }

  remove(caller: Caller, name: string, alias: string): Promise<void> {
    const act = { caller, action: 'alias.remove', object: `${name}@${alias}` }
    return this.#change(act, name, async () => {
      const { store, switchboard, ledger } = this.#parts
      store.transaction(() => {
        if (!store.aliases.remove(name, alias))
          throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `${name} has no alias ${alias}`)
        ledger.done(act)
      })
      switchboard.publish(name)
      this.#running.settle(name)
    })
  }

  /** YFASS's: one name a version. A version that is stopped keeps being that, and is found under the name when it starts. */
  replace(caller: Caller, reference: FunctionKey, alias: string | null): Promise<void> {
    const act = { caller, action: 'alias.set', object: keyText(reference) }
    const { name } = reference
    return this.#change(act, name, async () => {
      const record = versionOf(this.#parts.store, reference)
      if (alias === null) this.#clear(act, record)
      else if (record.wanted === 'stopped') this.#write(act, this.#record(act, record, alias), record)
      else {
        await this.#move(act, name, alias, record)
        this.#clear(act, record, alias)
      }
    })
  }

  history(name: string, alias: string): readonly AliasMove[] {
    functionOf(this.#parts.store, name)
    return this.#parts.store.aliases.history(name, alias)
  }

  #change<T>(act: Act, name: string, task: () => Promise<T>): Promise<T> {
    const { ledger, accounts, store, lines } = this.#parts
    return ledger.attempt(act, () =>
      lines.take(name, () => {
        accounts.demand(act.caller, 'write', functionOf(store, name).group)
        return task()
      }),
    )
  }

  async #move(act: Act, name: string, alias: string, to: AliasTarget): Promise<AliasRecord> {
    const { store } = this.#parts
    this.checkName(name, alias)
    checkTarget(to)
    const records = versionsOf(to).map((version) => versionOf(store, { name, version }))
    await this.#bringUp(records, alias)
    const [first, second] = records
    const version = first?.version ?? to.version
    const part =
      second === undefined || to.second === undefined
        ? undefined
        : { version: second.version, weight: to.second.weight }
    const record = {
      ...this.#record(act, { name, version }, alias),
      ...(part === undefined ? {} : { second: part }),
    }
    store.transaction(() => {
      // Brought up while nobody could stop it: changes of one function stand in line.
      for (const each of records) store.versions.setWanted(each, 'running')
      store.aliases.set(record)
      this.#parts.ledger.done(act, { version, ...(part === undefined ? {} : { second: part }) })
    })
    this.#publish(name)
    return record
  }

  /** All of them or none. */
  async #bringUp(records: readonly VersionRecord[], alias: string): Promise<void> {
    const { switchboard } = this.#parts
    const asleep = records.filter((record) => switchboard.admitted(record) === undefined)
    const ends = await Promise.allSettled(records.map((record) => this.#running.bringUp(record, alias)))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed === undefined) return
    await Promise.all(asleep.map((record) => this.#running.takeDown(record)))
    for (const { name } of records.slice(0, 1)) this.#running.settle(name)
    throw failed.reason
  }

  /** A name that a version has would lead to two places. @throws FlexiError FLEXI_CONFLICT, FLEXI_USAGE. */
  checkName(name: string, alias: string): void {
    checkLabel('an alias', alias)
    if (this.#parts.store.versions.get({ name, version: alias }) !== undefined)
      throw new FlexiError('FLEXI_CONFLICT', `${name} has a version that is called ${alias}`, {
        hint: 'Call the alias something else.',
      })
  }

  #record({ caller }: Act, { name, version }: FunctionKey, alias: string): AliasRecord {
    return { function: name, alias, version, movedAt: this.#parts.clock(), movedBy: caller.user }
  }

  #write(act: Act, record: AliasRecord, version: VersionRecord): void {
    const { store, ledger } = this.#parts
    this.checkName(version.name, record.alias)
    store.transaction(() => {
      store.aliases.set(record)
      ledger.done(act, { alias: record.alias })
    })
    this.#clear(act, version, record.alias)
  }

  /** Takes away the names that lead to a version, but `kept`, and but `live` when another is kept. */
  #clear(act: Act, { name, version }: VersionRecord, kept?: string): void {
    const { store, ledger } = this.#parts
    const stays = (alias: string): boolean => kept !== undefined && (alias === kept || alias === LIVE)
    const gone = store.aliases.of(name).filter((row) => row.version === version && !stays(row.alias))
    store.transaction(() => {
      for (const { alias } of gone) store.aliases.remove(name, alias)
      if (kept === undefined || gone.length > 0) ledger.done(act, { removed: gone.map(({ alias }) => alias) })
    })
    this.#publish(name)
  }

  #publish(name: string): void {
    this.#parts.switchboard.publish(name)
    this.#running.settle(name)
  }

  /** The first version of a canary, whatever it led to before that; otherwise where it led before the last move, among what is still there. */
  #before(name: string, alias: string): AliasTarget {
    const { store } = this.#parts
    const current = store.aliases.get(name, alias)
    if (current?.second !== undefined) return { version: current.version }
    const found = store.aliases
      .history(name, alias)
      .find(
        (move) =>
          !leadsAlike(move, current) &&
          versionsOf(move).every((version) => store.versions.get({ name, version }) !== undefined),
      )
    if (found !== undefined) return found
    throw new FlexiError('FLEXI_USAGE', `${name}@${alias} has led nowhere else that is still there`, {
      hint: 'Name a version with --to.',
    })
  }
}

/** Whether two say the same place. */
export function leadsAlike(one: AliasTarget, other: AliasTarget | undefined): boolean {
  return (
    other !== undefined &&
    one.version === other.version &&
    one.second?.version === other.second?.version &&
    one.second?.weight === other.second?.weight
  )
}

function checkTarget({ version, second }: AliasTarget): void {
  if (second === undefined) return
  if (second.version === version)
    throw new FlexiError('FLEXI_USAGE', `${version} cannot be its own second version`)
  if (!(second.weight >= 0 && second.weight <= 1))
    throw new FlexiError('FLEXI_USAGE', `the weight is ${second.weight}`, {
      hint: 'Give a number from 0 to 1.',
    })
}
