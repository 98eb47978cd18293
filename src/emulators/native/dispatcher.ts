import { FlexiError } from '../../core/errors.ts'
import type { FunctionFault } from '../../core/function.ts'
import type { Frame } from '../../instances/channel.ts'
import { FlightTable } from './flight-table.ts'
import type { HostProcess } from './host-process.ts'
import {
  decodeResult,
  FROM_CHILD,
  HEAD_BYTES,
  TO_CHILD,
  writeCallHead,
  writeContent,
  writeFrameHead,
  type Call,
  type CallResult,
} from './wire.ts'

/** How a call ended. */
export type Outcome =
  | { readonly kind: 'result'; readonly result: CallResult }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'invalid'; readonly message: string }
  /** The process died under it, or never came. */
  | { readonly kind: 'lost'; readonly error: FlexiError; readonly fault?: FunctionFault }

/** One request on its way through a library. */
export interface Flight {
  /** What the process it was sent to knows it by; 0 before. Another process, another number. */
  id: number
  readonly requestId: string
  readonly call: Call
  /** `performance.now()` at which it is given up. */
  readonly deadline: number
  settle(outcome: Outcome): void
}

/** A process with a loaded library, as the dispatcher sees it. */
export interface Carrier {
  readonly host: HostProcess
  readonly threads: number
  /** Of the code it runs: a later one takes the requests, even when an older one starts after it. */
  readonly sequence: number
  /** What `request_deinit` may take after its response has gone. */
  readonly releaseMs: number
  /** A call runs past its deadline, or its `request_deinit` past its time: the process has to go. */
  onStuck(flight?: Flight): void
}

/** Requests of one function at once, in the child and on the way to it; the pool queues the rest. */
export const IN_FLIGHT_MAX = 256
/** Calls sent ahead of free threads, so that a child that answers in microseconds never waits for the server. */
const AHEAD_MAX = 64
/** As much work as may lie in the child's pipe: what lies there cannot go elsewhere. */
const AHEAD_MICROS = 2_000
const CHECK_MS = 50
/** Content up to here is copied behind its head, so that all calls of a batch are one write; more is written from where it is. */
const COPIED_BYTES_MAX = 16 * 1024

interface Lane extends Carrier {
  readonly flights: FlightTable
  /** Moving average of what a call takes; undefined before the first answer. */
  callMicros: number | undefined
  /** Threads whose request is answered and which are not back yet, and since when that is known. */
  releasing: ReadonlyMap<number, number>
}

/**
 * Carries the requests of one function to the process that runs its newest revision.
 * All revisions share it: what an old process has not begun is begun by the new one, also when the old one died.
 */
export class Dispatcher {
  readonly #waiting: Flight[] = []
  /** Newest revision first. */
  readonly #lanes: Lane[] = []
  #newest = 0
  #scheduled = false
  #checker: NodeJS.Timeout | undefined

  get attached(): boolean {
    return this.#lanes.length > 0
  }

  submit(flight: Flight): void {
    this.#waiting.push(flight)
    this.#schedule()
    // After a turn of the event loop: answers that came in while this process was busy are read before anyone counts as late.
    this.#checker ??= setInterval(() => setImmediate(() => this.#check()), CHECK_MS).unref()
  }

  /** From now on this process takes requests, unless one with later code does. */
  attach(carrier: Carrier): void {
    const flights = new FlightTable()
    this.#lanes.push({ ...carrier, flights, callMicros: undefined, releasing: new Map() })
    this.#lanes.sort((a, b) => b.sequence - a.sequence)
    this.#newest = Math.max(this.#newest, carrier.sequence)
    this.#schedule()
  }

  /** An answer from this process. */
  frame(host: HostProcess, frame: Frame): void {
    const lane = this.#laneOf(host)
    const flight = lane?.flights.take(frame.id)
    if (lane === undefined || flight === undefined) return
    flight.settle(readOutcome(frame, lane))
    if (this.#waiting.length > 0) this.#schedule()
  }

  /** The process takes no more. What it had begun is returned; the rest waits for the next. */
  detach(host: HostProcess): Flight[] {
    const lane = this.#laneOf(host)
    if (lane === undefined) return []
    this.#lanes.splice(this.#lanes.indexOf(lane), 1)
    const running = host.running()
    const flights = lane.flights.values().toSorted((a, b) => a.id - b.id)
    this.#waiting.unshift(...flights.filter(({ id }) => !running.has(id)))
    this.#schedule()
    return flights.filter(({ id }) => running.has(id))
  }

  /** No process can be had: what waits is answered with this. */
  fail(error: FlexiError): void {
    for (const flight of this.#waiting.splice(0)) flight.settle({ kind: 'lost', error })
  }

  #laneOf(host: HostProcess): Lane | undefined {
    return this.#lanes.find((lane) => lane.host === host)
  }

  #schedule(): void {
    if (this.#scheduled || this.#lanes.length === 0) return
    this.#scheduled = true
    // All requests and answers of one turn of the event loop travel together.
    setImmediate(() => this.#pump())
  }

  #pump(): void {
    this.#scheduled = false
    const lane = this.#lanes[0]
    // When the process of the newest revision has died, its successor takes what waits, not the old code.
    if (lane === undefined || lane.sequence < this.#newest) return
    const count = Math.min(this.#waiting.length, windowOf(lane) - lane.flights.size)
    if (count <= 0) return
    const batch = this.#waiting.splice(0, count)
    for (const flight of batch) lane.flights.add(flight)
    lane.host.send(TO_CHILD.batch, encodeBatch(batch))
  }

  #check(): void {
    const now = performance.now()
    for (const flight of late(this.#waiting, now)) {
      this.#waiting.splice(this.#waiting.indexOf(flight), 1)
      flight.settle({ kind: 'lost', error: waitedTooLong() })
    }
    for (const lane of this.#lanes) checkLane(lane, now)
    if (this.#waiting.length + this.#lanes.reduce((sum, lane) => sum + lane.flights.size, 0) > 0) return
    clearInterval(this.#checker)
    this.#checker = undefined
  }
}

/** A fast library gets requests ahead of its threads, a slow one only what its threads can begin at once. */
function windowOf({ threads, callMicros }: Lane): number {
  if (callMicros === undefined) return threads
  return threads + Math.min(AHEAD_MAX, Math.floor((AHEAD_MICROS * threads) / Math.max(callMicros, 1)))
}

/** Whole frames one behind the other: in one piece, interrupted by contents that are too large to copy. */
function encodeBatch(batch: readonly Flight[]): readonly Uint8Array[] {
  let bytes = 0
  for (const { call } of batch)
    bytes += HEAD_BYTES + call.headBytes + (isCopied(call) ? call.contentBytes : 0)
  const buffer = Buffer.allocUnsafe(bytes)
  const parts: Uint8Array[] = []
  let from = 0
  let at = 0
  for (const { id, call } of batch) {
    at = writeFrameHead(buffer, at, { kind: TO_CHILD.call, id, bytes: call.headBytes + call.contentBytes })
    at = writeCallHead(call, buffer, at)
    if (isCopied(call)) at = writeContent(call, buffer, at)
    else {
      parts.push(buffer.subarray(from, at), ...call.content)
      from = at
    }
  }
  if (from === 0) return [buffer]
  parts.push(buffer.subarray(from))
  return parts
}

function isCopied({ contentBytes }: Call): boolean {
  return contentBytes <= COPIED_BYTES_MAX
}

function late(flights: Iterable<Flight>, now: number): Flight[] {
  return [...flights].filter((flight) => flight.deadline <= now)
}

function checkLane(lane: Lane, now: number): void {
  const running = lane.host.running()
  const stuck = stuckRelease(lane, running, now)
  if (stuck) {
    lane.onStuck()
    return
  }
  for (const flight of late(lane.flights.values(), now)) {
    if (running.has(flight.id)) {
      lane.onStuck(flight)
      return
    }
    lane.flights.take(flight.id)
    flight.settle({ kind: 'lost', error: waitedTooLong() })
  }
}

/** Whether a thread does not come back from `request_deinit`. */
function stuckRelease(lane: Lane, running: ReadonlySet<number>, now: number): boolean {
  const held = new Set(lane.flights.values().map(({ id }) => id))
  const before = lane.releasing
  const answered = [...running].filter((id) => !held.has(id))
  lane.releasing = new Map(answered.map((id) => [id, before.get(id) ?? now]))
  return [...lane.releasing.values()].some((since) => now - since > lane.releaseMs)
}

function waitedTooLong(): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_TIMEOUT', 'no thread of the library came free in time', {
    hint: 'Raise "threads", or make its calls shorter.',
  })
}

function readOutcome(frame: Frame, lane: Lane): Outcome {
  switch (frame.kind) {
    case FROM_CHILD.result: {
      const result = decodeResult(frame.payload)
      const { callMicros = result.callMicros } = lane
      lane.callMicros = callMicros + (result.callMicros - callMicros) / 8
      return { kind: 'result', result }
    }
    case FROM_CHILD.nothing:
      return { kind: 'nothing' }
    default:
      return { kind: 'invalid', message: frame.payload.toString() }
  }
}
