import { FlexiError } from '../../core/errors.ts'

/** One waiting line for each name: who comes later goes on when all before are done. */
export class Lines {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Rejects as the task does. @throws the signal's reason when it aborts before its turn. */
  async take<T>(name: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve()
    const turn = before.then(async () => {
      throwIfAborted(signal)
      return await task()
    })
    const done = turn.then(ignore, ignore)
    this.#last.set(name, done)
    void done.then(() => {
      if (this.#last.get(name) === done) this.#last.delete(name)
    })
    return await (signal === undefined ? turn : Promise.race([turn, aborted(signal, turn)]))
  }
}

/** Rejects when the signal aborts while the turn has not come; otherwise with the turn's own end, which cleans up first. */
async function aborted<T>(signal: AbortSignal, turn: Promise<T>): Promise<T> {
  return await turn.finally(() => signal.removeEventListener('abort', ignore))
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  const reason: unknown = signal.reason
  throw reason instanceof FlexiError ? reason : new FlexiError('FLEXI_CLIENT_GONE', 'it was given up', { cause: reason })
}

function ignore(): void {
  // Told to who waits for the turn itself.
}
