import { errorMessage, FlexiError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Caller } from '../model.ts'
import type { Store } from '../store.ts'
import type { Tenure } from './tenure.ts'

/** What somebody is about to do. */
export interface Act {
  readonly caller: Caller
  /** `alias.set` */
  readonly action: string
  /** `hello@v3` */
  readonly object: string
}

type Detail = Readonly<Record<string, unknown>>

/** Who changed what, for the audit log. Never a value of a variable, nor a token. */
export class Ledger {
  readonly #store: Store
  readonly #tenure: Tenure
  readonly #clock: () => number
  readonly #log: Logger

  constructor({
    store,
    tenure,
    clock,
    log,
  }: {
    readonly store: Store
    readonly tenure: Tenure
    readonly clock: () => number
    readonly log: Logger
  }) {
    this.#store = store
    this.#tenure = tenure
    this.#clock = clock
    this.#log = log
  }

  /**
   * Within the transaction of the change itself: the one is not there without the other.
   * @throws FlexiError FLEXI_SHUTTING_DOWN when another process makes the changes now.
   */
  done(act: Act, detail: Detail = {}): void {
    this.#tenure.demand()
    this.#add(act, 'done', detail)
  }

  /** Runs what adds its own `done`; what is refused or fails is told here. */
  async attempt<T>(act: Act, task: () => Promise<T>): Promise<T> {
    try {
      return await task()
    } catch (error) {
      this.failed(act, error)
      throw error
    }
  }

  failed(act: Act, error: unknown): void {
    const refused = error instanceof FlexiError && REFUSALS.has(error.code)
    const code = error instanceof FlexiError ? error.code : 'FLEXI_BUG'
    try {
      this.#add(act, refused ? 'refused' : 'failed', { code, message: errorMessage(error) })
    } catch (cause) {
      // The change did not happen: its own error is what must be told.
      this.#log.error('audit.fail', { action: act.action, message: errorMessage(cause) })
    }
  }

  #add({ caller, action, object }: Act, outcome: 'done' | 'refused' | 'failed', detail: Detail): void {
    const { user, token, from } = caller
    this.#store.audit.add({ at: this.#clock(), user, token, from, action, object, outcome, detail })
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['FLEXI_FORBIDDEN', 'FLEXI_UNAUTHENTICATED', 'FLEXI_SIGNATURE'])
