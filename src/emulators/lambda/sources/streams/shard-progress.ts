import type { StreamRecord } from './stream-access.ts'

interface Step {
  readonly sequence: string
  done: boolean
}

/** Which records of a shard are done, where several batches run at once: the checkpoint is the last one before the first that is not. */
export class ShardProgress {
  readonly #advance: (sequence: string) => void
  readonly #steps: Step[] = []
  #drained: (() => void) | undefined

  constructor(advance: (sequence: string) => void) {
    this.#advance = advance
  }

  /** Records that were read, in their order. */
  add(records: readonly StreamRecord[]): void {
    for (const { sequence } of records) this.#steps.push({ sequence, done: false })
  }

  done(records: readonly StreamRecord[]): void {
    const sequences = new Set(records.map(({ sequence }) => sequence))
    for (const step of this.#steps) if (sequences.has(step.sequence)) step.done = true
    const open = this.#steps.findIndex((step) => !step.done)
    const over = this.#steps.splice(0, open === -1 ? this.#steps.length : open)
    const last = over.at(-1)
    if (last !== undefined) this.#advance(last.sequence)
    if (this.#steps.length === 0) this.#drained?.()
  }

  /** Resolves once all are done, or when `signal` aborts. */
  async drained(signal: AbortSignal): Promise<void> {
    if (this.#steps.length === 0 || signal.aborted) return
    await new Promise<void>((resolve) => {
      this.#drained = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }
}
