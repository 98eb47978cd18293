import { FlexiError } from '../../../src/core/errors.ts'
import { createLogger, type Logger } from '../../../src/core/log.ts'
import type { QueueMessage, SendMessage } from '../../../src/emulators/lambda/service/queue.ts'
import type {
  Invoked,
  InvokeOptions,
  Invoker,
  Queues,
  ReceiveOptions,
} from '../../../src/emulators/lambda/service/service.ts'
import type { Clock } from '../../../src/emulators/lambda/sources/clock.ts'
import type {
  Position,
  Read,
  ReadOptions,
  Shard,
  StreamAccess,
  StreamRecord,
} from '../../../src/emulators/lambda/sources/streams/stream-access.ts'

/** A clock that stands still until it is told how much time has passed. */
export class FakeClock implements Clock {
  #now: number
  readonly #timers = new Set<{ at: number; readonly call: () => void }>()

  constructor(now: number | string = 0) {
    this.#now = typeof now === 'string' ? Date.parse(now) : now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + ms, call }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Timers set for later than now. */
  get waiting(): number {
    return this.#timers.size
  }

  /** Calls what comes due, in its order; microtasks run in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settled()
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.call()
    }
    this.#now = end
    await settled()
  }

  /** Timers are late: time passes before they run. */
  late(ms: number): void {
    this.#now += ms
  }

  /** The machine sleeps: time passes, and timers stand still meanwhile. */
  sleep(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers) timer.at += ms
  }
}

/** Everything that is ready has run. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

export type Answer = { readonly result?: unknown; readonly fails?: boolean } | 'throttled' | 'missing'

export interface FakeInvoker extends Invoker {
  /** Events that came, read. */
  readonly events: readonly unknown[]
  readonly ids: readonly (string | undefined)[]
}

/** Answers as the test says; `answer` may wait. */
export function fakeInvoker(
  answer: (event: never, count: number) => Answer | Promise<Answer> = () => ({}),
): FakeInvoker {
  const events: unknown[] = []
  const ids: (string | undefined)[] = []
  const invoke = async (
    reference: string,
    payload: Uint8Array,
    options?: InvokeOptions,
  ): Promise<Invoked> => {
    const event = JSON.parse(Buffer.from(payload).toString()) as never
    events.push(event)
    ids.push(options?.id)
    const given = await answer(event, events.length)
    if (given === 'throttled') throw new FlexiError('FLEXI_THROTTLED', `${reference} has no room`)
    if (given === 'missing') throw new Error(`${reference} is not there`)
    const { result = null, fails } = given
    return {
      payload: Buffer.from(JSON.stringify(result)),
      functionError: fails === true ? 'Unhandled' : undefined,
      executedVersion: '$LATEST',
      functionArn: `arn:aws:lambda:us-east-1:123456789012:function:${reference}:$LATEST`,
    }
  }
  return {
    events,
    ids,
    invoke,
    async invokeEvent(reference, payload, options) {
      await invoke(reference, payload, options)
    },
  }
}

export function saidLogger(): { readonly log: Logger; readonly said: string[] } {
  const said: string[] = []
  const log = createLogger(({ level, fields }) => {
    if (level === 'warn' || level === 'error') said.push(String(fields['message']))
  }, 'debug')
  return { log, said }
}

interface Held extends QueueMessage {
  readonly groupId: string | undefined
  /** Hidden up to then; milliseconds of the clock. */
  hiddenUntil: number
  received: number
}

/** One queue with a visibility timeout of thirty seconds; a group with a hidden message gives nothing. */
export class FakeQueue implements Queues {
  readonly #clock: Clock
  readonly messages: Held[] = []
  readonly ensured: (readonly [string, Readonly<Record<string, string>>])[] = []
  /** Thrown by the next requests, in their order. */
  readonly failures: Error[] = []
  #next = 1
  #arrived: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  ensure(name: string, attributes: Readonly<Record<string, string>> = {}): void {
    this.ensured.push([name, attributes])
  }

  has(): boolean {
    return false
  }

  get bodies(): string[] {
    return this.messages.map(({ body }) => body)
  }

  add(...bodies: readonly string[]): void {
    for (const body of bodies) this.addTo(undefined, body)
  }

  addTo(groupId: string | undefined, body: string): void {
    const id = `m${this.#next++}`
    this.messages.push({
      id,
      groupId,
      receipt: `r-${id}`,
      body,
      bodyMd5: 'md5',
      systemAttributes: { ApproximateReceiveCount: '1', SentTimestamp: '0' },
      attributes: {},
      attributesMd5: undefined,
      hiddenUntil: 0,
      received: 0,
    })
    this.#wake()
  }

  #wake(): void {
    for (const arrived of this.#arrived.splice(0)) arrived()
  }

  send(_queue: string, { body }: SendMessage): Promise<string> {
    this.add(body)
    return Promise.resolve('')
  }

  async receive(_queue: string, { max, waitMs, signal }: ReceiveOptions): Promise<readonly QueueMessage[]> {
    const failure = this.failures.shift()
    if (failure !== undefined) throw failure
    const end = this.#clock.now() + waitMs
    for (;;) {
      const found = this.#take(max)
      if (found.length > 0 || signal.aborted || this.#clock.now() >= end) return found
      await this.#more(end - this.#clock.now(), signal)
    }
  }

  remove(_queue: string, receipts: readonly string[]): Promise<void> {
    for (const receipt of receipts) {
      const at = this.messages.findIndex((message) => message.receipt === receipt)
      if (at !== -1) this.messages.splice(at, 1)
    }
    this.#wake()
    return Promise.resolve()
  }

  changeVisibility(_queue: string, receipts: readonly string[], visibilityMs: number): Promise<void> {
    for (const message of this.messages)
      if (receipts.includes(message.receipt)) message.hiddenUntil = this.#clock.now() + visibilityMs
    this.#wake()
    return Promise.resolve()
  }

  #take(max: number): Held[] {
    const now = this.#clock.now()
    const busy = new Set(
      this.messages.filter(({ hiddenUntil }) => hiddenUntil > now).map(({ groupId }) => groupId),
    )
    const found = this.messages
      .filter(
        ({ hiddenUntil, groupId }) => hiddenUntil <= now && (groupId === undefined || !busy.has(groupId)),
      )
      .slice(0, max)
    for (const message of found) {
      message.hiddenUntil = now + 30_000
      message.received += 1
    }
    return found
  }

  #more(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const hidden = this.messages.map(({ hiddenUntil }) => hiddenUntil - this.#clock.now())
      const soonest = Math.min(ms, ...hidden.filter((wait) => wait > 0))
      const cancel = this.#clock.after(soonest, resolve)
      const end = (): void => {
        cancel()
        resolve()
      }
      this.#arrived.push(end)
      signal.addEventListener('abort', end, { once: true })
    })
  }
}

/** A stream in memory: shards by name, each with its records in order. Iterators are positions. */
export class FakeStream implements StreamAccess {
  readonly arn = 'arn:aws:kinesis:us-east-1:123456789012:stream/orders'
  readonly batchInfo = 'KinesisBatchInfo'
  readonly textField = 'data'
  /** Thrown by the next call. */
  failure: Error | undefined
  readonly #clock: Clock
  readonly #shards = new Map<string, { records: StreamRecord[]; parents: string[]; closed: boolean }>()
  #next = 1

  constructor(clock: Clock) {
    this.#clock = clock
  }

  shard(id: string, parents: string[] = []): void {
    this.#shards.set(id, { records: [], parents, closed: false })
  }

  close(id: string): void {
    const shard = this.#shards.get(id)
    if (shard !== undefined) shard.closed = true
  }

  /** `key:data`, or data alone. */
  put(shard: string, ...texts: readonly string[]): void {
    for (const text of texts) {
      const key = text.includes(':') && !text.startsWith('{') ? (text.split(':')[0] ?? '') : text
      const sequence = String(this.#next++)
      const json = JSON.stringify({ data: text, sequence })
      this.#shards
        .get(shard)
        ?.records.push({ sequence, key, arrival: this.#clock.now(), content: { data: text }, json })
    }
  }

  async shards(): Promise<readonly Shard[]> {
    await this.#fails()
    return [...this.#shards].map(([id, { parents, closed }]) => ({ id, parents, closed }))
  }

  since(timestamp: number): Position {
    return { kind: 'AT_TIMESTAMP', timestamp }
  }

  async iterator(shard: string, position: Position): Promise<string> {
    await this.#fails()
    const records = this.#shards.get(shard)?.records ?? []
    if (position.kind === 'LATEST') return String(records.length)
    if (position.kind === 'TRIM_HORIZON') return '0'
    const at = records.findIndex(({ arrival, sequence }) => {
      if (position.kind === 'AT_TIMESTAMP') return arrival >= position.timestamp * 1000
      return position.kind === 'AFTER_SEQUENCE_NUMBER' && Number(sequence) > Number(position.sequence)
    })
    return String(at === -1 ? records.length : at)
  }

  async read(shard: string, iterator: string, { max }: ReadOptions): Promise<Read> {
    await this.#fails()
    const { records = [], closed = false } = this.#shards.get(shard) ?? {}
    const at = Number(iterator)
    const taken = records.slice(at, at + max)
    const end = at + taken.length
    return { records: taken, next: closed && end === records.length ? undefined : String(end) }
  }

  #fails(): Promise<void> {
    const { failure } = this
    this.failure = undefined
    return failure === undefined ? Promise.resolve() : Promise.reject(failure)
  }
}

/** Longer than by default: real peers on a busy machine. */
export const SOON = { timeout: 15_000 }
