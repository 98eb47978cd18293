import type { FlexiError } from '../../core/errors.ts'
import type { FunctionFault } from '../../core/function.ts'
import type { Frame } from '../../instances/channel.ts'
import { encodeBatch } from './batch.ts'
import { FlightTable } from './flight-table.ts'
import type { HostProcess } from './host-process.ts'
import { clientGone, endsTooOften, waitedTooLong } from './refusals.ts'
import { Suspects } from './suspects.ts'
import { decodeResult, FROM_CHILD, TO_CHILD, type Call, type CallResult } from './wire.ts'

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
  /** Method and target. */
  readonly subject: string
  /** The client has left. */
  readonly gone: boolean
  readonly call: Call
  /** When it was handed over, on the clock of `performance.now()`. */
  readonly since: number
  /** Processes that ended while it waited for one. */
  endsSeen: number
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
/** A call of a process that follows a crash is taken for harmless after this long. */
const HARMLESS_MS = 100

interface Lane extends Carrier {
  readonly flights: FlightTable
  /** Moving average of what a call takes; undefined before the first answer. */
  callMicros: number | undefined
  /** Threads whose request is answered and which are not back yet, and since when that is known. */
  releasing: ReadonlyMap<number, number>
  answered: boolean
  /** Takes all it can. One that follows a crash gets a single request until that is answered, or has lasted. */
  proven: boolean
  /** When it last got requests. */
  sentAt: number
}

/** What a process leaves behind. */
export interface Parting {
  /** What it had begun: lost. */
  readonly begun: readonly Flight[]
  /** What waited, and has waited through too many ends. */
  readonly hopeless: readonly Flight[]
  /** Whether it has answered anything. */
  readonly answered: boolean
}

/**
 * Carries the requests of one function to the process that runs its newest revision.
 * All revisions share it: what an old process has not begun is begun by the new one, also when the old one died.
 */
export class Dispatcher {
  readonly #waiting: Flight[] = []
  /** Newest revision first. */
  readonly #lanes: Lane[] = []
  readonly #suspects = new Suspects()
  /** Processes in a row that ended before they had answered anything. */
  #ends = 0
  #newest = 0
  #scheduled = false
  #checker: NodeJS.Timeout | undefined

  get attached(): boolean {
    return this.#lanes.length > 0
  }

  submit(flight: Flight): void {
    this.#waiting.push(flight)
    this.#schedule()
    this.#startChecking()
  }

  /** From now on this process takes requests, unless one with later code does. */
  attach(carrier: Carrier): void {
    const flights = new FlightTable()
    const state = { callMicros: undefined, releasing: new Map(), answered: false, sentAt: 0 }
    this.#lanes.push({ ...carrier, ...state, flights, proven: this.#ends === 0 })
    this.#lanes.sort((a, b) => b.sequence - a.sequence)
    this.#newest = Math.max(this.#newest, carrier.sequence)
    this.#schedule()
  }

  /** An answer from this process. */
  frame(host: HostProcess, frame: Frame): void {
    const lane = this.#laneOf(host)
    const flight = lane?.flights.take(frame.id)
    if (lane === undefined || flight === undefined) return
    lane.answered = lane.proven = true
    this.#ends = 0
    if (!this.#suspects.none) this.#suspects.clear(flight)
    flight.settle(readOutcome(frame, lane))
    if (this.#waiting.length > 0) this.#schedule()
  }

  /** The process takes no more. What it had not begun waits for the next, unless too many have ended meanwhile: `crashed` counts. */
  detach(host: HostProcess, { crashed = false } = {}): Parting {
    const lane = this.#laneOf(host)
    if (lane === undefined) return { begun: [], hopeless: [], answered: false }
    this.#lanes.splice(this.#lanes.indexOf(lane), 1)
    const running = host.running()
    const flights = lane.flights.values().toSorted((a, b) => a.id - b.id)
    const begun = flights.filter(({ id }) => running.has(id))
    this.#waiting.unshift(...flights.filter(({ id }) => !running.has(id)))
    const hopeless = crashed ? this.#afterCrash(begun) : []
    this.#schedule()
    return { begun, hopeless, answered: lane.answered }
  }

  #afterCrash(begun: readonly Flight[]): readonly Flight[] {
    const now = performance.now()
    this.#ends += 1
    this.#suspects.add(begun, now)
    for (const flight of this.#waiting) flight.endsSeen += 1
    return this.#remove((flight) => this.#suspects.isHopeless(flight, { ends: this.#ends, now }))
  }

  /** Takes these out of what waits. */
  #remove(chosen: (flight: Flight) => boolean): readonly Flight[] {
    const removed = this.#waiting.filter(chosen)
    for (const flight of removed) this.#waiting.splice(this.#waiting.indexOf(flight), 1)
    return removed
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
    const now = performance.now()
    if (!this.#suspects.none) this.#suspects.sort(this.#waiting, now)
    const room = (lane.proven ? windowOf(lane) : 1) - lane.flights.size
    const batch = takeWanted(this.#waiting, room)
    if (batch.length === 0) return
    lane.sentAt = now
    for (const flight of batch) lane.flights.add(flight)
    lane.host.send(TO_CHILD.batch, encodeBatch(batch))
  }

  #startChecking(): void {
    // After a turn of the event loop: answers that came in while this process was busy are read before anyone counts as late.
    this.#checker ??= setInterval(() => setImmediate(() => this.#check()), CHECK_MS).unref()
  }

  #check(): void {
    const now = performance.now()
    for (const flight of this.#remove(({ deadline }) => deadline <= now))
      flight.settle({ kind: 'lost', error: waitedTooLong() })
    for (const flight of this.#remove(({ gone }) => gone))
      flight.settle({ kind: 'lost', error: clientGone() })
    if (this.#lanes.length === 0) this.#refuseHopeless(now)
    for (const lane of this.#lanes) this.#checkLane(lane, now)
    if (this.#waiting.length > 0 || this.#lanes.some(isBusy)) return
    clearInterval(this.#checker)
    this.#checker = undefined
  }

  #refuseHopeless(now: number): void {
    const hopeless = this.#remove((flight) => this.#suspects.isHopeless(flight, { ends: this.#ends, now }))
    for (const flight of hopeless) flight.settle({ kind: 'lost', error: endsTooOften(flight) })
  }

  #checkLane(lane: Lane, now: number): void {
    checkLane(lane, now)
    if (lane.proven || lane.flights.size === 0 || now - lane.sentAt < HARMLESS_MS) return
    lane.proven = true
    this.#schedule()
  }
}

/** The first that somebody waits for, at most `room`; those before whose clients have left are let go. */
function takeWanted(waiting: Flight[], room: number): Flight[] {
  const batch = waiting.splice(0, Math.max(0, room))
  while (batch.some(({ gone }) => gone)) {
    for (const flight of batch) if (flight.gone) flight.settle({ kind: 'lost', error: clientGone() })
    const wanted = batch.filter(({ gone }) => !gone)
    batch.splice(0, batch.length, ...wanted, ...waiting.splice(0, room - wanted.length))
  }
  return batch
}

/** Also while a thread is in `request_deinit`. */
function isBusy({ flights, releasing }: Lane): boolean {
  return flights.size > 0 || releasing.size > 0
}

/** A fast library gets requests ahead of its threads, a slow one only what its threads can begin at once. */
function windowOf({ threads, callMicros }: Lane): number {
  if (callMicros === undefined) return threads
  return threads + Math.min(AHEAD_MAX, Math.floor((AHEAD_MICROS * threads) / Math.max(callMicros, 1)))
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
