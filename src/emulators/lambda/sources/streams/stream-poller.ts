import { setMaxListeners } from 'node:events'

import { errorMessage } from '../../../../core/errors.ts'
import { AwsError } from '../aws-client.ts'
import { Backoff, pause } from '../clock.ts'
import { recordFilter } from '../record-filter.ts'
import { ShardReader } from './shard-reader.ts'
import type { Position, Shard } from './stream-access.ts'
import type { StreamContext } from './stream-context.ts'
import { Waker } from './waker.ts'

export type StreamPollerOptions = Omit<StreamContext, 'signal' | 'waker' | 'accepts'>

/** Shards come and go; one that ends is followed at once. */
const DISCOVER_MS = 30_000
const REST_MS = 1_000
const REST_MAX_MS = 10_000

/** Reads all shards of a stream, each from where it was left, and one after those that it came from. */
export class StreamPoller {
  readonly #context: StreamContext
  readonly #stopping = new AbortController()
  readonly #running = new Map<string, Promise<void>>()
  /** A shard has ended: those that came from it may begin. */
  readonly #discover = new Waker()
  readonly #rest = new Backoff(REST_MS, REST_MAX_MS)
  readonly #ended: Promise<void>
  /** Where shards begin that nothing is known of. */
  #start: Position

  /** @throws FlexiError FLEXI_CONFIG for a filter that cannot be. */
  constructor(options: StreamPollerOptions) {
    // Every lane of every shard listens.
    setMaxListeners(0, this.#stopping.signal)
    const accepts = recordFilter(options.source.filters, options.access.textField)
    this.#context = { ...options, accepts, signal: this.#stopping.signal, waker: new Waker() }
    this.#start = options.checkpoints.empty ? startOf(options.source) : { kind: 'TRIM_HORIZON' }
    this.#ended = options.state.watched(this.#run())
  }

  /** The function is another one now: what failed is tried again at once. */
  wake(): void {
    this.#context.waker.wake()
  }

  /** Reads nothing more, and resolves once the batches under way are done. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
    await Promise.all(this.#running.values())
    await this.#context.checkpoints.flush()
  }

  async #run(): Promise<void> {
    const { signal, clock } = this.#context
    while (!signal.aborted) {
      const shards = await this.#shards()
      if (shards === undefined) {
        await pause(clock, this.#rest.grow(), signal)
        continue
      }
      this.#rest.reset()
      this.#begin(shards)
      await this.#discover.pause(clock, DISCOVER_MS, signal)
    }
  }

  async #shards(): Promise<readonly Shard[] | undefined> {
    const { access, state, signal } = this.#context
    try {
      const shards = await access.shards(signal)
      state.well('source')
      return shards
    } catch (error) {
      if (signal.aborted) return undefined
      const isMissing = error instanceof AwsError && error.code === 'ResourceNotFoundException'
      // All that a stream will hold that is made after this is new.
      if (isMissing && this.#start.kind === 'LATEST') this.#start = { kind: 'TRIM_HORIZON' }
      state.failed('source', errorMessage(error))
      return undefined
    }
  }

  #begin(shards: readonly Shard[]): void {
    const { checkpoints } = this.#context
    const known = new Set(shards.map(({ id }) => id))
    checkpoints.retain([...known])
    if (this.#start.kind === 'LATEST') {
      for (const { id, closed } of shards) if (closed && !this.#running.has(id)) checkpoints.finish(id)
    }
    for (const shard of shards) {
      const waits = shard.parents.some((parent) => known.has(parent) && !checkpoints.finished(parent))
      if (this.#running.has(shard.id) || waits || checkpoints.finished(shard.id)) continue
      this.#running.set(shard.id, this.#context.state.watched(this.#read(shard.id)))
    }
    // Shards that appear from now on came from those above.
    if (shards.length > 0) this.#start = { kind: 'TRIM_HORIZON' }
  }

  async #read(shard: string): Promise<void> {
    const { checkpoints, access, clock } = this.#context
    const position = checkpoints.position(shard, (timestamp) => access.since(timestamp)) ?? this.#start
    if (position.kind === 'LATEST') checkpoints.begin(shard, clock.now() / 1000)
    const finished = await new ShardReader(this.#context, shard, position).run()
    if (!finished) return
    this.#running.delete(shard)
    this.#discover.wake()
  }
}

function startOf({
  startingPosition = 'LATEST',
  startingPositionTimestamp,
}: StreamContext['source']): Position {
  if (startingPosition !== 'AT_TIMESTAMP') return { kind: startingPosition }
  return { kind: 'AT_TIMESTAMP', timestamp: startingPositionTimestamp ?? 0 }
}
