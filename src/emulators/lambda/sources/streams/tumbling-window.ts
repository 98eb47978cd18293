import { memberOf } from '../batch-failures.ts'
import type { StreamRecord } from './stream-access.ts'

/** More of it ends the window early. Source: Lambda guide, tumbling windows. */
const STATE_BYTES_MAX = 1024 * 1024
/** What came at the very end of a window is read a moment later. */
const LATE_MS = 1_000

interface OpenWindow {
  /** Milliseconds since 1970. */
  readonly start: number
  /** JSON: what the function answered last. */
  readonly state: string
  readonly early: boolean
}

export interface TumblingWindowOptions {
  readonly seconds: number
  readonly shard: string
  readonly arn: () => string
  readonly now: () => number
  /** What was kept of the window that was open last, and where to keep it. */
  readonly kept: string | undefined
  readonly keep: (window: string | undefined) => void
}

/** Times of equal length, by when records came; what the function answers is handed on from batch to batch, until its window is over. */
export class TumblingWindow {
  readonly #options: TumblingWindowOptions
  #open: OpenWindow | undefined

  constructor(options: TumblingWindowOptions) {
    this.#options = options
    this.#open = options.kept === undefined ? undefined : (JSON.parse(options.kept) as OpenWindow)
  }

  /** Until the open window is over; undefined when none is open. */
  get leftMs(): number | undefined {
    if (this.#open === undefined) return undefined
    return this.#open.early ? 0 : Math.max(0, this.#end + LATE_MS - this.#options.now())
  }

  /** Whether the open window is to be closed before this record is handed over; undefined stands for no record. */
  isOver(next: StreamRecord | undefined): boolean {
    if (this.#open === undefined) return false
    return next === undefined || this.#open.early ? this.leftMs === 0 : next.arrival >= this.#end
  }

  /** Opens the window of this record, unless one is open. */
  open({ arrival }: StreamRecord): void {
    const lengthMs = this.#options.seconds * 1000
    this.#open ??= { start: Math.floor(arrival / lengthMs) * lengthMs, state: '{}', early: false }
  }

  holds({ arrival }: StreamRecord): boolean {
    return arrival < this.#end
  }

  /** The whole event; the last one of a window has no records. */
  event(records: readonly StreamRecord[], isFinal: boolean): string {
    const { shard, arn } = this.#options
    const { start, state, early } = this.#open ?? { start: 0, state: '{}', early: false }
    const rest = JSON.stringify({
      shardId: shard,
      eventSourceARN: arn(),
      isFinalInvokeForWindow: isFinal,
      isWindowTerminatedEarly: early,
    })
    const window = JSON.stringify({ start: isoTime(start), end: isoTime(this.#end) })
    const list = records.map(({ json }) => json).join(',')
    return `{"Records":[${list}],"window":${window},"state":${state},${rest.slice(1)}`
  }

  /** Keeps the `state` of an answer. */
  answered(payload: Uint8Array): void {
    if (this.#open === undefined) return
    const state = JSON.stringify(stateOf(payload))
    this.#set({ ...this.#open, state, early: Buffer.byteLength(state) > STATE_BYTES_MAX })
  }

  close(): void {
    this.#set(undefined)
  }

  #set(open: OpenWindow | undefined): void {
    this.#open = open
    this.#options.keep(open === undefined ? undefined : JSON.stringify(open))
  }

  get #end(): number {
    return (this.#open?.start ?? 0) + this.#options.seconds * 1000
  }
}

function stateOf(payload: Uint8Array): unknown {
  try {
    return memberOf(JSON.parse(Buffer.from(payload).toString()), 'state') ?? {}
  } catch {
    return {}
  }
}

function isoTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`
}
