import { FlexiError } from '../core/errors.ts'
import type { FunctionConfig } from '../core/function.ts'
import { mergeFailures } from './project-faults.ts'
import type { ServedFunction } from './served-function.ts'

/** One configuration of one function, taken over in two steps. */
interface Reconfiguration {
  apply(): Promise<void>
  abandon(): Promise<void>
}

/** Another set of functions, built and ready to be served. */
export interface PreparedSet {
  /** From now on what is new is found, and what is gone is not. */
  enter(): void
  /** Takes that back, where nothing could be bound to it: all is as it was, and what is new has ended. */
  leave(): Promise<void>
  /** Swaps the code of what stays under its name, and ends what is gone. */
  finish(): Promise<void>
}

/** The functions that are served, by name; every change of the set is all or nothing. */
export class ServedFunctions implements AsyncDisposable {
  readonly #open: (config: FunctionConfig) => Promise<ServedFunction>
  readonly #served = new Map<string, ServedFunction>()
  /** Functions of a new set, while they are built for the first time. */
  #arriving: readonly ServedFunction[] = []
  /** Functions that are gone, while they finish what they run. */
  readonly #leaving = new Set<ServedFunction>()

  constructor(open: (config: FunctionConfig) => Promise<ServedFunction>) {
    this.#open = open
  }

  get byName(): ReadonlyMap<string, ServedFunction> {
    return this.#served
  }

  all(): readonly ServedFunction[] {
    return [...this.#served.values()]
  }

  /** The first functions: built by whoever starts them. @throws FlexiError FLEXI_CONFIG with the faults of every function. */
  async begin(configs: readonly FunctionConfig[]): Promise<void> {
    for (const served of await this.#openAll(configs)) this.#served.set(served.name, served)
  }

  /** Everything new is opened and built before anything old is let go. `warm` says which of the new ones are started at once. */
  async prepare(
    configs: readonly FunctionConfig[],
    warm: (config: FunctionConfig) => boolean,
  ): Promise<PreparedSet> {
    const fresh = configs.filter((config) => !this.#keeps(config))
    const changed = fresh.filter((one) => this.#served.get(one.name)?.config.provider === one.provider)
    const added = await this.#openAll(fresh.filter((config) => !changed.includes(config)))
    const changes = await this.#prepareChanges(changed).catch(async (error: unknown) => {
      await disposeAll(added)
      throw error
    })
    await this.#startArriving(added, warm).catch(async (error: unknown) => {
      await Promise.all(changes.map((change) => change.abandon()))
      throw error
    })
    return this.#prepared(configs, { added, changes })
  }

  /** Ends builds of a set that is out of date before it is served: one that hangs would keep the next one waiting. */
  supersede(): void {
    for (const served of this.#served.values()) served.supersede()
    for (const served of this.#arriving) void served[Symbol.asyncDispose]()
    this.#arriving = []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll([...this.all(), ...this.#leaving])
  }

  #prepared(
    configs: readonly FunctionConfig[],
    {
      added,
      changes,
    }: { readonly added: readonly ServedFunction[]; readonly changes: readonly Reconfiguration[] },
  ): PreparedSet {
    const wanted = new Set(configs.map(({ name }) => name))
    const removed = this.all().filter(
      ({ name }) => !wanted.has(name) || added.some((served) => served.name === name),
    )
    const retire = (served: ServedFunction): Promise<void> => this.#retire(served)
    return {
      enter: () => {
        for (const served of removed) this.#served.delete(served.name)
        for (const served of added) this.#served.set(served.name, served)
      },
      leave: async () => {
        for (const served of added) this.#served.delete(served.name)
        for (const served of removed) this.#served.set(served.name, served)
        await Promise.all([disposeAll(added), ...changes.map((change) => change.abandon())])
      },
      async finish() {
        await Promise.all(changes.map((change) => change.apply()))
        await Promise.all(removed.map(retire))
      },
    }
  }

  /** At once where nothing runs; otherwise later, and nobody waits for it. */
  async #retire(served: ServedFunction): Promise<void> {
    if (served.pool.state().inFlight === 0) return await served[Symbol.asyncDispose]()
    this.#leaving.add(served)
    const end = async (): Promise<void> => {
      await served.pool.drain()
      await served[Symbol.asyncDispose]()
      this.#leaving.delete(served)
    }
    void end()
  }

  /** @throws FlexiError FLEXI_SHUTTING_DOWN when a newer set came meanwhile. */
  async #startArriving(
    added: readonly ServedFunction[],
    warm: (config: FunctionConfig) => boolean,
  ): Promise<void> {
    this.#arriving = added
    await Promise.all(added.map((served) => served.start({ warm: warm(served.config) })))
    if (this.#arriving !== added)
      throw new FlexiError('FLEXI_SHUTTING_DOWN', 'a newer configuration is there')
    this.#arriving = []
  }

  async #prepareChanges(changed: readonly FunctionConfig[]): Promise<readonly Reconfiguration[]> {
    const prepared = await Promise.allSettled(
      changed.map(async (config) => this.#served.get(config.name)?.reconfigure(config)),
    )
    const failure = prepared.find((outcome) => outcome.status === 'rejected')
    const ready = prepared.flatMap((outcome) =>
      outcome.status === 'fulfilled' && outcome.value !== undefined ? [outcome.value] : [],
    )
    if (failure === undefined) return ready
    await Promise.all(ready.map((change) => change.abandon()))
    throw failure.reason
  }

  #keeps(config: FunctionConfig): boolean {
    const served = this.#served.get(config.name)
    return served !== undefined && JSON.stringify(served.config) === JSON.stringify(config)
  }

  async #openAll(configs: readonly FunctionConfig[]): Promise<ServedFunction[]> {
    const outcomes = await Promise.allSettled(configs.map((config) => this.#open(config)))
    const failures = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    )
    const opened = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    if (failures.length === 0) return opened
    await disposeAll(opened)
    throw mergeFailures(failures)
  }
}

async function disposeAll(functions: readonly ServedFunction[]): Promise<void> {
  await Promise.all(functions.map((served) => served[Symbol.asyncDispose]()))
}
