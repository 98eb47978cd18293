import { errorMessage } from '../../../core/errors.ts'

/** What can be in the way: the service that has the records, or the function that takes them. */
export type Obstacle = 'source' | 'function'

/** Remembers how a poller does. The log is told when something gets in its way or is out of it, not of every attempt. */
export class SourceState {
  readonly #said: (problem: string | undefined) => void
  readonly #problems = new Map<Obstacle, string>()
  #result = 'No records processed'

  /** `said` is called with each new problem, and with undefined once there is none any more. */
  constructor(said: (problem: string | undefined) => void) {
    this.#said = said
  }

  /** As Lambda's API says it: `OK`, `No records processed`, or `PROBLEM: ` and what is wrong. */
  get lastProcessingResult(): string {
    const [problem] = this.#problems.values()
    return problem === undefined ? this.#result : `PROBLEM: ${problem}`
  }

  /** A batch ran; its function may have failed, which its own log tells. */
  processed(succeeded: boolean): void {
    this.well('function')
    this.#result = succeeded ? 'OK' : 'PROBLEM: Function call failed'
  }

  /** Work in the background that must not fail. Where it does, that is said, and the server goes on. */
  async watched(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.failed('source', `it is read no more, by a fault of flexi: ${errorMessage(error)}`)
    }
  }

  failed(obstacle: Obstacle, problem: string): void {
    if (this.#problems.get(obstacle) === problem) return
    this.#problems.set(obstacle, problem)
    this.#said(problem)
  }

  well(obstacle: Obstacle): void {
    if (this.#problems.delete(obstacle) && this.#problems.size === 0) this.#said(undefined)
  }
}
