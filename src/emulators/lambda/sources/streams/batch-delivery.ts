import { randomUUID } from 'node:crypto'

import { errorMessage } from '../../../../core/errors.ts'
import type { Invoked } from '../../service/service.ts'
import { batchOutcome, type BatchOutcome } from '../batch-failures.ts'
import { Backoff } from '../clock.ts'
import { runBatch } from '../run-batch.ts'
import type { Failure } from './failure-record.ts'
import { tellFailure } from './on-failure.ts'
import type { StreamContext } from './stream-context.ts'
import type { StreamRecord } from './stream-access.ts'
import type { TumblingWindow } from './tumbling-window.ts'

const RETRY_MS = 500
const RETRY_MAX_MS = 30_000

export interface DeliveryOptions {
  readonly shard: string
  /** The records from the front that are over: handed over, or given up. */
  readonly done: (records: readonly StreamRecord[]) => void
  /** The whole event of these records. */
  readonly event: (records: readonly StreamRecord[]) => string
  /** Called with the answer to records that succeeded. */
  readonly answered?: ((payload: Uint8Array) => void) | undefined
}

/** What is known of a batch that was tried. */
interface Tries {
  /** Failed attempts that count. */
  failed: number
  invocations: number
  last: Invoked | undefined
  readonly id: string
}

function newTries(): Tries {
  return { failed: 0, invocations: 0, last: undefined, id: randomUUID() }
}

/** Hands batches of one shard over, each as often as it takes: nothing behind a batch is handed over before it is done or given up. */
export class BatchDelivery {
  readonly #context: StreamContext
  readonly #options: DeliveryOptions

  constructor(context: StreamContext, options: DeliveryOptions) {
    this.#context = context
    this.#options = options
  }

  /** Resolves once the records are over, or when it is time to stop. */
  async deliver(records: readonly StreamRecord[]): Promise<void> {
    await this.#deliver(records, newTries())
  }

  /** Tells the function that a window is over, as often as it takes. */
  async close(window: TumblingWindow): Promise<void> {
    const { signal, waker, clock, target, state, log, source } = this.#context
    const tries = newTries()
    const rest = new Backoff(RETRY_MS, RETRY_MAX_MS)
    while (!signal.aborted) {
      const run = await runBatch(target, window.event([], true), { id: tries.id })
      if (run.kind === 'stopping') return
      if (run.kind === 'refused') state.failed('function', run.problem)
      else {
        const succeeded = run.invoked.functionError === undefined
        state.processed(succeeded)
        tries.failed += 1
        if (succeeded || this.#isOver(tries)) window.close()
        if (succeeded) return
        if (this.#isOver(tries)) {
          return log.warn('source.drop', {
            message: `a window of ${source.stream} is dropped: every attempt failed`,
          })
        }
      }
      await waker.pause(clock, rest.grow(), signal)
    }
  }

  async #deliver(records: readonly StreamRecord[], tries: Tries): Promise<void> {
    const { signal, waker, clock } = this.#context
    const rest = new Backoff(RETRY_MS, RETRY_MAX_MS)
    let pending = await this.#withoutOld(records, tries)
    while (pending.length > 0 && !signal.aborted) {
      const left = await this.#attempt(pending, tries)
      if (left === 'stop') return
      if (left.length > 0 && left.length < pending.length) rest.reset()
      pending = left
      if (pending.length === 0) return
      if (this.#isOver(tries)) return this.#giveUp(pending, 'RetryAttemptsExhausted', tries)
      await waker.pause(clock, rest.grow(), signal)
      if (!signal.aborted) pending = await this.#withoutOld(pending, tries)
    }
  }

  #isOver({ failed }: Tries): boolean {
    const { maximumRetryAttempts = -1 } = this.#context.source
    return maximumRetryAttempts >= 0 && failed > maximumRetryAttempts
  }

  /** What is left of them after one attempt. */
  async #attempt(records: readonly StreamRecord[], tries: Tries): Promise<readonly StreamRecord[] | 'stop'> {
    const { target, state } = this.#context
    const run = await runBatch(target, this.#options.event(records), { id: tries.id })
    if (run.kind === 'stopping') return 'stop'
    if (run.kind === 'refused') {
      state.failed('function', run.problem)
      return records
    }
    tries.invocations += 1
    tries.last = run.invoked
    const outcome = this.#outcome(run.invoked, records)
    state.processed(outcome === 'none')
    if (outcome === 'none') {
      this.#options.answered?.(run.invoked.payload)
      this.#options.done(records)
      return []
    }
    return await this.#afterFailure(records, outcome, tries)
  }

  #outcome({ functionError, payload }: Invoked, records: readonly StreamRecord[]): BatchOutcome {
    if (functionError !== undefined) return 'all'
    if (this.#context.source.reportBatchItemFailures !== true) return 'none'
    return batchOutcome(payload, new Set(records.map(({ sequence }) => sequence)))
  }

  /** Everything before the first record that failed is done; the rest comes again, in halves where the source says so. */
  async #afterFailure(
    records: readonly StreamRecord[],
    outcome: 'all' | ReadonlySet<string>,
    tries: Tries,
  ): Promise<readonly StreamRecord[]> {
    const first = outcome === 'all' ? 0 : records.findIndex(({ sequence }) => outcome.has(sequence))
    if (first > 0) {
      this.#options.done(records.slice(0, first))
      // Another record is in the way now: it has all of its attempts.
      tries.failed = 1
      return records.slice(first)
    }
    if (this.#context.source.bisectBatchOnError === true && records.length > 1) {
      return await this.#halves(records, tries)
    }
    tries.failed += 1
    return records
  }

  /** Being cut is no attempt. */
  async #halves(
    records: readonly StreamRecord[],
    { failed, invocations, last }: Tries,
  ): Promise<readonly []> {
    const middle = Math.ceil(records.length / 2)
    for (const half of [records.slice(0, middle), records.slice(middle)]) {
      await this.#deliver(half, { failed, invocations, last, id: randomUUID() })
      if (this.#context.signal.aborted) return []
    }
    return []
  }

  async #withoutOld(records: readonly StreamRecord[], tries: Tries): Promise<readonly StreamRecord[]> {
    const { source, clock } = this.#context
    const { maximumRecordAge = -1 } = source
    if (maximumRecordAge < 0) return records
    const oldest = clock.now() - maximumRecordAge * 1000
    const young = records.findIndex(({ arrival }) => arrival >= oldest)
    const end = young === -1 ? records.length : young
    if (end > 0) await this.#giveUp(records.slice(0, end), 'RecordAgeExceeded', tries)
    return records.slice(end)
  }

  async #giveUp(
    records: readonly StreamRecord[],
    condition: Failure['condition'],
    { invocations, last, id }: Tries,
  ): Promise<void> {
    const { access, source, functionArn, clock, log } = this.#context
    const { shard, done, event } = this.#options
    const { onFailure, stream } = source
    const failure = { condition, records, shard, access, functionArn, requestId: id, event: event(records) }
    const what =
      records.length === 1 ? `a record of ${stream} is` : `${records.length} records of ${stream} are`
    const where = onFailure === undefined ? 'dropped' : `given up and told to ${onFailure}`
    const why = condition === 'RecordAgeExceeded' ? 'too old' : 'every attempt failed'
    log.warn('source.drop', { message: `${what} ${where}: ${why}` })
    try {
      const whole = { ...failure, invokeCount: invocations, invoked: last, now: clock.now() }
      if (onFailure !== undefined) await tellFailure(onFailure, whole, this.#context)
    } catch (error) {
      log.warn('source.failure', { message: `${onFailure} was not told: ${errorMessage(error)}` })
    }
    done(records)
  }
}
