import { setMaxListeners } from 'node:events'

import { errorMessage } from '../../../../core/errors.ts'
import type { QueueSource } from '../../service/event-source.ts'
import type { QueueMessage } from '../../service/queue.ts'
import { batchOutcome } from '../batch-failures.ts'
import { Backoff, pause, type Clock } from '../clock.ts'
import { recordFilter } from '../record-filter.ts'
import { EVENT_BYTES_MAX, runBatch, type BatchRun, type Target } from '../run-batch.ts'
import type { SourceState } from '../source-state.ts'
import { REQUEST_MESSAGES_MAX, type QueueAccess } from './queue-access.ts'
import { queueRecord } from './queue-record.ts'

export interface QueuePollerOptions {
  readonly source: QueueSource
  readonly access: QueueAccess
  readonly target: Target
  readonly state: SourceState
  readonly clock: Clock
}

const BATCH_SIZE = 10
/** Batches at once, unless the source says how many; Lambda begins with as many. */
const CONCURRENCY = 5
const POLL_MS = 20_000
const REST_MS = 1_000
const REST_MAX_MS = 30_000
/** How long a batch is kept for a function without room: less than the thirty seconds after which a message is visible again by default. */
const ROOM_WAITS_MS = [200, 400, 800, 1_600, 3_200, 6_400] as const

interface Delivery {
  readonly message: QueueMessage
  /** Its record, as JSON. */
  readonly json: string
}

/** Takes messages off a queue in batches; a batch whose function succeeds is deleted. Several run at once while there are more. */
export class QueuePoller {
  readonly #options: QueuePollerOptions
  readonly #accepts: (record: Readonly<Record<string, unknown>>) => boolean
  readonly #fifo: boolean
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<void>>()
  /** Called when a batch has ended. */
  #freed: (() => void) | undefined
  readonly #ended: Promise<void>
  readonly #sourceRest = new Backoff(REST_MS, REST_MAX_MS)
  readonly #functionRest = new Backoff(REST_MS, REST_MAX_MS)

  /** @throws FlexiError FLEXI_CONFIG for a filter that cannot be. */
  constructor(options: QueuePollerOptions) {
    this.#options = options
    this.#accepts = recordFilter(options.source.filters, 'body')
    this.#fifo = options.access.arn.endsWith('.fifo')
    setMaxListeners(0, this.#stopping.signal)
    this.#ended = options.state.watched(this.#poll())
  }

  /** Takes nothing more, and resolves once the batches under way are done. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
    await Promise.all(this.#running)
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stopping
    const { clock, source } = this.#options
    while (!signal.aborted) {
      const restMs = Math.max(this.#sourceRest.ms, this.#functionRest.ms)
      if (restMs > 0) await pause(clock, restMs, signal)
      const batch = await this.#gather()
      if (batch.length > 0) this.#start(batch)
      if (this.#running.size >= (source.maximumConcurrency ?? CONCURRENCY)) await this.#oneEnded()
    }
  }

  #start(batch: readonly Delivery[]): void {
    const running = this.#options.state.watched(this.#process(batch))
    this.#running.add(running)
    void running.finally(() => {
      this.#running.delete(running)
      this.#freed?.()
    })
  }

  /** Promise.race would leave something at a batch that lasts for each one that ends beside it. */
  #oneEnded(): Promise<void> {
    return new Promise((resolve) => (this.#freed = resolve))
  }

  /** The next batch. None when there was nothing to take, or when it is time to stop. */
  async #gather(): Promise<readonly Delivery[]> {
    const { clock, source } = this.#options
    const sizeMax = this.#sizeMax()
    const batch: Delivery[] = []
    let endsAt: number | undefined
    let bytes = 0
    try {
      do {
        const waitMs = endsAt === undefined ? POLL_MS : Math.max(0, endsAt - clock.now())
        const taken = await this.#receive(Math.min(REQUEST_MESSAGES_MAX, sizeMax - batch.length), waitMs)
        if (taken.length > 0) endsAt ??= clock.now() + (source.window ?? 0) * 1000
        batch.push(...taken)
        bytes += taken.reduce((sum, { json }) => sum + json.length, 0)
      } while (this.#goesOn(batch.length < sizeMax && bytes < EVENT_BYTES_MAX, endsAt))
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#unreachable(error)
    }
    if (!this.#stopping.signal.aborted) return batch
    await this.#release(batch)
    return []
  }

  #goesOn(hasRoom: boolean, endsAt: number | undefined): boolean {
    const waits = endsAt === undefined || this.#options.clock.now() < endsAt
    return hasRoom && waits && !this.#stopping.signal.aborted
  }

  /** A queue with groups gives what belongs together, so nothing is added to that. */
  #sizeMax(): number {
    const { batchSize = BATCH_SIZE } = this.#options.source
    return this.#fifo ? Math.min(batchSize, REQUEST_MESSAGES_MAX) : batchSize
  }

  /** What the function is not to see is deleted. */
  async #receive(max: number, waitMs: number): Promise<readonly Delivery[]> {
    const { access, state } = this.#options
    const messages = await access.receive({ max, waitMs, signal: this.#stopping.signal })
    state.well('source')
    this.#sourceRest.reset()
    const dropped: string[] = []
    const deliveries: Delivery[] = []
    for (const message of messages) {
      const record = queueRecord(message, access)
      if (this.#accepts(record)) deliveries.push({ message, json: JSON.stringify(record) })
      else dropped.push(message.receipt)
    }
    if (dropped.length > 0) await access.remove(dropped)
    return deliveries
  }

  async #process(batch: readonly Delivery[]): Promise<void> {
    const { fitting, rest } = cut(batch)
    // The others wait for another batch; those of the same group stay behind it, since the queue keeps them back.
    if (rest.length > 0) await this.#release(rest)
    const { state, source } = this.#options
    const run = await this.#run(`{"Records":[${fitting.map(({ json }) => json).join(',')}]}`)
    if (run.kind === 'stopping') return this.#release(fitting)
    if (run.kind === 'refused') {
      this.#functionRest.grow()
      return state.failed('function', run.problem)
    }
    this.#functionRest.reset()
    const { functionError, payload } = run.invoked
    const ids = new Set(fitting.map(({ message }) => message.id))
    const reported = source.reportBatchItemFailures === true ? batchOutcome(payload, ids) : 'none'
    const outcome = functionError === undefined ? reported : 'all'
    state.processed(outcome === 'none')
    // What failed stays: it comes back when its visibility timeout is over.
    if (outcome !== 'all') await this.#remove(fitting.filter(({ message }) => !isIn(outcome, message.id)))
  }

  /** A function without room is asked again a few times, before the messages go back and count as received once more. */
  async #run(event: string): Promise<BatchRun> {
    const { target, clock } = this.#options
    for (const waitMs of ROOM_WAITS_MS) {
      const run = await runBatch(target, event)
      if (run.kind !== 'refused' || !run.throttled || this.#stopping.signal.aborted) return run
      await pause(clock, waitMs, this.#stopping.signal)
    }
    return runBatch(target, event)
  }

  async #remove(batch: readonly Delivery[]): Promise<void> {
    if (batch.length === 0) return
    await this.#told(this.#options.access.remove(batch.map(({ message }) => message.receipt)))
  }

  async #release(batch: readonly Delivery[]): Promise<void> {
    if (batch.length === 0) return
    await this.#told(this.#options.access.release(batch.map(({ message }) => message.receipt)))
  }

  async #told(request: Promise<void>): Promise<void> {
    try {
      await request
    } catch (error) {
      this.#unreachable(error)
    }
  }

  #unreachable(error: unknown): void {
    this.#sourceRest.grow()
    this.#options.state.failed('source', errorMessage(error))
  }
}

function isIn(outcome: 'none' | ReadonlySet<string>, id: string): boolean {
  return outcome !== 'none' && outcome.has(id)
}

/** As many from the front as one event may hold; at least one. */
function cut(batch: readonly Delivery[]): {
  readonly fitting: readonly Delivery[]
  readonly rest: readonly Delivery[]
} {
  let bytes = 0
  const over = batch.findIndex(({ json }, index) => {
    bytes += Buffer.byteLength(json) + 1
    return index > 0 && bytes > EVENT_BYTES_MAX
  })
  const end = over === -1 ? batch.length : over
  return { fitting: batch.slice(0, end), rest: batch.slice(end) }
}
