import { FlexiError } from '../../core/errors.ts'

/** One waiting line for each name: who comes later goes on when all before are done. */
export class Lines {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Rejects as the task does, and with FLEXI_SHUTTING_DOWN or what else aborted the signal before its turn came. */
  async take<T>(name: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve()
    const turn = before.then(() => {
      throwIfAborted(signal)
      return task()
    })
    const done = turn.then(ignore, ignore)
    this.#last.set(name, done)
    try {
      return await turn
    } finally {
      if (this.#last.get(name) === done) this.#last.delete(name)
    }
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  const reason: unknown = signal.reason
  if (reason instanceof FlexiError) throw reason
  throw new FlexiError('FLEXI_CLIENT_GONE', 'who asked for it has gone', { cause: reason })
}

function ignore(): void {
  // Told to who waits for the turn itself.
}
