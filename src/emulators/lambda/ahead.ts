import type { Environment } from './environments/environment.ts'
import type { Caller } from './settled.ts'

/** What is handed over ahead is wanted back after so long: the one before takes its time, and another environment has some. */
const RECALL_MS = 5

interface Next {
  readonly id: string
  readonly caller: Caller
  readonly timer: NodeJS.Timeout
}

/** The one invocation that an environment has been given ahead: it begins when the current one ends, or is handed back. */
export class Ahead {
  readonly #environment: Environment
  #next: Next | undefined

  constructor(environment: Environment) {
    this.#environment = environment
  }

  get hasRoom(): boolean {
    return this.#next === undefined && this.#environment.recall !== undefined
  }

  hold(id: string, caller: Caller): void {
    const timer = setTimeout(() => this.#environment.recall?.(), RECALL_MS)
    this.#next = { id, caller, timer }
  }

  take(): Next | undefined {
    const next = this.#next
    this.#next = undefined
    clearTimeout(next?.timer)
    return next
  }

  /** It has not begun and will not: whoever waits for it goes elsewhere. */
  handBack(): void {
    this.take()?.caller.settled({ kind: 'recalled' })
  }
}
