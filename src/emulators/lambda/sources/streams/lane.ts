import { EVENT_BYTES_MAX } from '../run-batch.ts'
import type { BatchDelivery } from './batch-delivery.ts'
import type { StreamContext } from './stream-context.ts'
import type { StreamRecord } from './stream-access.ts'
import type { TumblingWindow } from './tumbling-window.ts'

export const BATCH_SIZE = 100

/** Records of a shard that stay in order: one batch after the other. A shard has several where its source says so. */
export class Lane {
  readonly #context: StreamContext
  readonly #delivery: BatchDelivery
  readonly #window: TumblingWindow | undefined
  readonly #queue: StreamRecord[] = []
  #over = false
  /** Called when there is more, or when it is time to stop. */
  #arrived: (() => void) | undefined
  readonly ended: Promise<void>

  constructor(context: StreamContext, delivery: BatchDelivery, window?: TumblingWindow) {
    this.#context = context
    this.#delivery = delivery
    this.#window = window
    this.ended = context.state.watched(this.#run())
  }

  get length(): number {
    return this.#queue.length
  }

  push(record: StreamRecord): void {
    this.#queue.push(record)
    this.#arrived?.()
  }

  /** The shard is over: nothing more comes. Its window ends with it, as in the cloud. */
  end(): void {
    this.#over = true
    this.#arrived?.()
  }

  async #run(): Promise<void> {
    const { signal } = this.#context
    const wake = (): void => this.#arrived?.()
    signal.addEventListener('abort', wake)
    while (!signal.aborted && !this.#over) await this.#step()
    signal.removeEventListener('abort', wake)
    if (this.#window?.leftMs !== undefined) await this.#delivery.close(this.#window)
  }

  async #step(): Promise<void> {
    await this.#fill()
    if (this.#context.signal.aborted) return
    if (this.#window?.isOver(this.#queue[0]) === true) await this.#delivery.close(this.#window)
    else if (this.#queue.length > 0) await this.#delivery.deliver(this.#take())
  }

  /** Until a batch is full, or its time is over. */
  async #fill(): Promise<void> {
    const { window = 0, batchSize = BATCH_SIZE } = this.#context.source
    await this.#until(1, this.#window?.leftMs)
    if (window > 0 && this.#queue.length > 0) await this.#until(batchSize, window * 1000)
  }

  /** Resolves when so many wait, after `ms`, or when it is time to stop. */
  #until(count: number, ms?: number): Promise<void> {
    const { clock, signal } = this.#context
    return new Promise((resolve) => {
      const end = (): void => {
        cancel?.()
        this.#arrived = undefined
        resolve()
      }
      const look = (): void => {
        if (this.#queue.length >= count || this.#over || signal.aborted) end()
      }
      const cancel = ms === undefined ? undefined : clock.after(ms, end)
      this.#arrived = look
      look()
    })
  }

  /** As many as one event may hold. */
  #take(): readonly StreamRecord[] {
    const { batchSize = BATCH_SIZE } = this.#context.source
    const [first] = this.#queue
    if (first !== undefined) this.#window?.open(first)
    let bytes = 0
    const over = this.#queue.findIndex((record, index) => {
      bytes += Buffer.byteLength(record.json) + 1
      if (this.#window?.holds(record) === false) return true
      return index >= batchSize || (index > 0 && bytes > EVENT_BYTES_MAX)
    })
    return this.#queue.splice(0, over === -1 ? this.#queue.length : over)
  }
}
