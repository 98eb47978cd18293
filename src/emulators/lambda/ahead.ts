import type { Environment, Invocation } from './environments/environment.ts'
import type { Caller } from './settled.ts'

/** What is handed over ahead is wanted back after so long: the one before takes its time, and another environment has some. */
const RECALL_MS = 5

interface Next {
  readonly invocation: Omit<Invocation, 'deadline'>
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

  /** Whether there is room for one of these callers: who keeps the log waits a turn for its last lines, in which the next must not begin. */
  hasRoom(caller: Caller, current: { readonly logged: unknown }): boolean {
    if (this.#next !== undefined) return false
    if (this.#environment.polls === true) return true
    return (
      this.#environment.recall !== undefined && caller.logged === undefined && current.logged === undefined
    )
  }

  hold(invocation: Omit<Invocation, 'deadline'>, caller: Caller): void {
    const recall = (): void => {
      // A runtime that asks for its next invocation has none of it yet.
      if (this.#environment.polls === true) this.handBack()
      else this.#environment.recall?.()
    }
    this.#next = { invocation, caller, timer: setTimeout(recall, RECALL_MS) }
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
