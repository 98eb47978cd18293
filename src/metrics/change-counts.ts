import type { DevEvent } from '../core/events.ts'
import type { FunctionFault } from '../core/function.ts'
import { Buckets, RELOAD_SECONDS } from './buckets.ts'

/** Reloads of one function, or of the configuration. */
export interface ReloadCounts {
  succeeded: number
  failed: number
  /** Of those that succeeded. */
  readonly duration: Buckets
}

export interface FunctionCounts extends ReloadCounts {
  readonly name: string
  readonly faults: Map<FunctionFault['kind'], number>
}

/** Functions of one day of renaming; those that come later share one name. */
const FUNCTIONS_MAX = 1_000
const MS_PER_SECOND = 1_000

/** Counts what happens to functions and to the configuration. Seldom enough for maps. */
export class ChangeCounts {
  readonly configuration: ReloadCounts = newReloads()
  /** Milliseconds since the epoch; when the configuration now in force was read. */
  configuredAt = Date.now()
  /** False while the files say something wrong and an older reading serves on. */
  configurationIsGood = true
  readonly #functions = new Map<string, FunctionCounts>()

  /** Events of other kinds say of no change. */
  add(event: DevEvent): void {
    if (event.event === 'reload') succeed(this.#countsOf(event.function), event.durationMs)
    else if (event.event === 'configuration') this.#addConfiguration(event.durationMs)
    else if (event.event === 'error') this.#addError(event.function)
    else if (event.event === 'fault') this.#addFault(event)
  }

  functions(): Iterable<FunctionCounts> {
    return this.#functions.values()
  }

  #addConfiguration(durationMs: number): void {
    succeed(this.configuration, durationMs)
    this.configuredAt = Date.now()
    this.configurationIsGood = true
  }

  /** What cannot be said of a function is said of the configuration. */
  #addError(name: string | undefined): void {
    if (name === undefined) this.configurationIsGood = false
    const counts = name === undefined ? this.configuration : this.#countsOf(name)
    counts.failed += 1
  }

  #addFault({ function: name, kind }: FunctionFault): void {
    const { faults } = this.#countsOf(name)
    faults.set(kind, (faults.get(kind) ?? 0) + 1)
  }

  #countsOf(name: string): FunctionCounts {
    const known = this.#functions.get(name)
    if (known !== undefined) return known
    const own = this.#functions.size < FUNCTIONS_MAX ? name : 'other'
    const counts = this.#functions.get(own) ?? { ...newReloads(), name: own, faults: new Map() }
    this.#functions.set(own, counts)
    return counts
  }
}

function newReloads(): ReloadCounts {
  return { succeeded: 0, failed: 0, duration: new Buckets(RELOAD_SECONDS) }
}

function succeed(counts: ReloadCounts, durationMs: number): void {
  counts.succeeded += 1
  counts.duration.add(durationMs / MS_PER_SECOND)
}
