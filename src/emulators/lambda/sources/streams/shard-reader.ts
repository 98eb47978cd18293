import { errorMessage } from '../../../../core/errors.ts'
import { AwsError } from '../aws-client.ts'
import { Backoff, pause } from '../clock.ts'
import { BatchDelivery } from './batch-delivery.ts'
import { BATCH_SIZE, Lane } from './lane.ts'
import { ShardProgress } from './shard-progress.ts'
import type { StreamContext } from './stream-context.ts'
import type { Position, Read, StreamRecord } from './stream-access.ts'
import { TumblingWindow } from './tumbling-window.ts'

/** Kinesis lets everybody together read a shard five times a second. */
const POLL_MS = 250
const REST_MS = 1_000
const REST_MAX_MS = 30_000
const REQUEST_RECORDS_MAX = 10_000

/** Reads one shard from a position to its end, and hands its records over in their order. */
export class ShardReader {
  readonly #context: StreamContext
  readonly #shard: string
  readonly #progress: ShardProgress
  readonly #lanes: readonly Lane[]
  readonly #rest = new Backoff(REST_MS, REST_MAX_MS)
  #position: Position
  #iterator: string | undefined
  /** What came before is not for us; milliseconds since 1970. Tables' streams know whole seconds. */
  #since: number
  /** Called when a lane has room again. */
  #room: (() => void) | undefined
  /** When LATEST was asked for, or the last answer came; milliseconds since 1970. */
  #upToDateAt: number

  readonly #wake = (): void => this.#room?.()

  constructor(context: StreamContext, shard: string, position: Position) {
    this.#context = context
    this.#shard = shard
    this.#position = position
    this.#since = sinceOf(position)
    this.#upToDateAt = context.clock.now()
    context.signal.addEventListener('abort', this.#wake)
    this.#progress = new ShardProgress((sequence) => context.checkpoints.advance(shard, sequence))
    const window = windowOf(context, shard)
    // What a window collects goes through one batch after the other.
    const lanes = window === undefined ? Math.max(1, context.source.parallelizationFactor ?? 1) : 1
    this.#lanes = Array.from({ length: lanes }, () => new Lane(context, this.#delivery(window), window))
  }

  #delivery(window: TumblingWindow | undefined): BatchDelivery {
    return new BatchDelivery(this.#context, {
      shard: this.#shard,
      done: (records) => {
        this.#progress.done(records)
        this.#room?.()
      },
      event: (records) => window?.event(records, false) ?? plainEvent(records),
      answered: (payload) => window?.answered(payload),
    })
  }

  /** Resolves with true when the shard is closed and all of it is done; false when it is time to stop. */
  async run(): Promise<boolean> {
    const { signal } = this.#context
    let closed = false
    while (!closed && !signal.aborted) {
      await this.#waitForRoom()
      const read = await this.#read()
      if (read !== undefined) closed = await this.#take(read)
    }
    await this.#progress.drained(signal)
    if (closed) for (const lane of this.#lanes) lane.end()
    await Promise.all(this.#lanes.map((lane) => lane.ended))
    signal.removeEventListener('abort', this.#wake)
    const finished = closed && !signal.aborted
    if (finished) this.#context.checkpoints.finish(this.#shard)
    return finished
  }

  /** Undefined when nothing could be read; it was waited then. */
  async #read(): Promise<Read | undefined> {
    const { access, signal, state } = this.#context
    try {
      this.#iterator ??= await access.iterator(this.#shard, this.#position, signal)
      const read = await access.read(this.#shard, this.#iterator, { max: this.#readMax(), signal })
      this.#upToDateAt = this.#context.clock.now()
      this.#rest.reset()
      state.well('source')
      return read
    } catch (error) {
      this.#iterator = undefined
      if (!signal.aborted && !this.#recovers(error)) await this.#failed(error)
      return undefined
    }
  }

  async #failed(error: unknown): Promise<void> {
    const { state, clock, signal } = this.#context
    state.failed('source', errorMessage(error))
    await pause(clock, this.#rest.grow(), signal)
  }

  /** Whether it goes on from another position at once. */
  #recovers(error: unknown): boolean {
    if (!(error instanceof AwsError)) return false
    const { kind } = this.#position
    if (error.code === 'ExpiredIteratorException') {
      // What came while nobody could read must not be lost.
      if (kind === 'LATEST') {
        this.#position = this.#context.access.since(this.#upToDateAt / 1000)
        this.#since = sinceOf(this.#position)
      }
      return true
    }
    const isGone = error.code === 'TrimmedDataAccessException' || error.code === 'InvalidArgumentException'
    const isPlace = isGone || error.code === 'ValidationException'
    if (!isPlace || kind !== 'AFTER_SEQUENCE_NUMBER') return false
    const message = `${this.#context.source.stream} no longer has the record that was done last: it is read from its beginning`
    this.#context.log.warn('source.trimmed', { message })
    this.#context.checkpoints.forget(this.#shard)
    this.#position = { kind: 'TRIM_HORIZON' }
    return true
  }

  /** True at the end of the shard. */
  async #take({ records, next }: Read): Promise<boolean> {
    const { accepts, clock, signal } = this.#context
    const ours = records.filter(({ arrival }) => arrival >= this.#since)
    this.#progress.add(ours)
    const filtered: StreamRecord[] = []
    for (const record of ours) {
      if (accepts(record.content)) this.#laneOf(record).push(record)
      else filtered.push(record)
    }
    if (filtered.length > 0) this.#progress.done(filtered)
    const last = records.at(-1)
    if (last !== undefined) this.#position = { kind: 'AFTER_SEQUENCE_NUMBER', sequence: last.sequence }
    this.#iterator = next
    if (next === undefined) return true
    if (last === undefined) await pause(clock, POLL_MS, signal)
    return false
  }

  #laneOf({ key }: StreamRecord): Lane {
    const lane = this.#lanes[hash(key) % this.#lanes.length]
    if (lane === undefined) throw new Error('a shard has a lane at least')
    return lane
  }

  /** Two batches a lane are enough to be read ahead. */
  async #waitForRoom(): Promise<void> {
    const { source, signal } = this.#context
    const most = 2 * (source.batchSize ?? BATCH_SIZE)
    while (this.#lanes.some((lane) => lane.length >= most) && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#room = resolve
      })
    }
  }

  #readMax(): number {
    const { batchSize = BATCH_SIZE } = this.#context.source
    return Math.min(Math.max(batchSize * this.#lanes.length, BATCH_SIZE), REQUEST_RECORDS_MAX)
  }
}

function sinceOf(position: Position): number {
  return position.kind === 'AT_TIMESTAMP' ? Math.floor(position.timestamp) * 1000 : 0
}

function plainEvent(records: readonly StreamRecord[]): string {
  return `{"Records":[${records.map(({ json }) => json).join(',')}]}`
}

function windowOf(context: StreamContext, shard: string): TumblingWindow | undefined {
  const { source, access, clock, checkpoints } = context
  const { tumblingWindow: seconds = 0 } = source
  if (seconds === 0) return undefined
  return new TumblingWindow({
    seconds,
    shard,
    arn: () => access.arn,
    now: () => clock.now(),
    kept: checkpoints.window(shard),
    keep: (window) => checkpoints.keepWindow(shard, window),
  })
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0
  return value
}
