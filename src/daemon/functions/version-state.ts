import { errorMessage } from '../../core/errors.ts'
import type { PoolChange, PoolState } from '../../instances/pool.ts'
import type { VersionStatus } from '../model.ts'

type State = VersionStatus['state']

export interface StateOptions {
  readonly stopped: boolean
  readonly clock: () => number
  readonly onState: () => void
}

/** What a version is doing, as people are told. */
export class VersionState {
  readonly #options: StateOptions
  #stopped: boolean
  #isOpening = false
  /** Its last instance ended by itself, or could not be started. */
  #crashed = false
  #restarts = 0
  #lastExit: string | undefined
  #state: State
  /** Milliseconds since the epoch. */
  #since: number

  constructor(options: StateOptions) {
    this.#options = options
    this.#stopped = options.stopped
    this.#state = options.stopped ? 'stopped' : 'idle'
    this.#since = options.clock()
  }

  get state(): State {
    return this.#state
  }

  get stopped(): boolean {
    return this.#stopped
  }

  told(): Pick<VersionStatus, 'state' | 'since' | 'restarts' | 'lastExit'> {
    return { state: this.#state, since: this.#since, restarts: this.#restarts, lastExit: this.#lastExit }
  }

  set(change: { readonly stopped?: boolean; readonly opening?: boolean }, pool?: PoolState): void {
    this.#stopped = change.stopped ?? this.#stopped
    this.#isOpening = change.opening ?? this.#isOpening
    if (change.stopped !== undefined) this.#crashed = false
    this.#settle(pool)
  }

  failed(error: unknown, pool?: PoolState): void {
    this.#crashed = true
    this.#lastExit = errorMessage(error)
    this.#settle(pool)
  }

  changed(change: PoolChange, pool: PoolState): void {
    if (change.kind === 'started') this.#crashed = false
    if (change.kind === 'start-failed') this.failed(change.error, pool)
    if (change.kind === 'ended') this.#ended(change.error)
    this.#settle(pool)
  }

  #ended(error: Error | undefined): void {
    this.#lastExit = error === undefined ? 'ended by itself, without an error' : error.message
    this.#crashed = error !== undefined
    this.#restarts += 1
  }

  #settle(pool: PoolState | undefined): void {
    const state = this.#now(pool)
    if (state === this.#state) return
    this.#state = state
    this.#since = this.#options.clock()
    this.#options.onState()
  }

  #now(pool: PoolState | undefined): State {
    if (this.#stopped) return 'stopped'
    if (pool !== undefined && pool.instances > 0) return 'running'
    if (this.#isOpening || (pool !== undefined && pool.starting > 0)) return 'starting'
    return this.#crashed ? 'crashed' : 'idle'
  }
}
