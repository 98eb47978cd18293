import type { Dispatcher } from '../../forward/forward.ts'
import type { ThrownRecord } from './facade.ts'

/** The program threw; what its facade told about it. */
export class ThrownError extends Error {
  override readonly name = 'ThrownError'
  readonly record: ThrownRecord

  constructor(record: ThrownRecord) {
    super(record.message)
    this.record = record
  }
}

/** A request that workerd has not answered yet. */
export interface Flight {
  /** `performance.now()`; moved on when the worker has proved that it only waits. */
  since: number
  /** Ends the request with this error before its head. */
  abort(error: Error): void
}

export interface FaultCatcherOptions {
  readonly dispatcher: Dispatcher
  readonly faultField: string
  /** The requests without a head, oldest first. */
  readonly flights: Set<Flight>
}

type Handler = Dispatcher.DispatchHandler

/**
 * A dispatcher that turns the facade's marked answers into errors, so that they are never seen by a client, and knows which requests
 * wait for a head.
 */
export function createFaultCatcher(options: FaultCatcherOptions): Dispatcher {
  const { dispatcher } = options
  const dispatch: Dispatcher['dispatch'] = (request, handler) =>
    dispatcher.dispatch(request, new CatchingHandler(handler, options))
  // Of a dispatcher only this method is used to forward.
  return { dispatch } as Dispatcher
}

class CatchingHandler implements Handler, Flight {
  since = performance.now()
  readonly #handler: Handler
  readonly #options: FaultCatcherOptions
  #abortRequest: ((error?: Error) => void) | undefined
  #fault: Buffer[] | undefined
  #cause: Error | undefined

  constructor(handler: Handler, options: FaultCatcherOptions) {
    this.#handler = handler
    this.#options = options
    options.flights.add(this)
  }

  abort(error: Error): void {
    this.#cause = error
    this.#abortRequest?.(error)
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abortRequest = abort
    if (this.#cause !== undefined) abort(this.#cause)
    this.#handler.onConnect?.(abort)
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.()
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, reason: string): boolean {
    if (status >= 200) this.#options.flights.delete(this)
    if (status === 500 && hasField(raw, this.#options.faultField)) {
      this.#fault = []
      return true
    }
    return this.#handler.onHeaders?.(status, raw, resume, reason) ?? true
  }

  onData(chunk: Buffer): boolean {
    if (this.#fault === undefined) return this.#handler.onData?.(chunk) ?? true
    this.#fault.push(chunk)
    return true
  }

  onComplete(trailers: string[] | null): void {
    if (this.#fault === undefined) this.#handler.onComplete?.(trailers)
    else this.#handler.onError?.(new ThrownError(readRecord(Buffer.concat(this.#fault))))
  }

  onError(error: Error): void {
    this.#options.flights.delete(this)
    this.#handler.onError?.(this.#cause ?? error)
  }
}

function hasField(raw: readonly Buffer[], name: string): boolean {
  return raw.some(
    (part, index) =>
      index % 2 === 0 && part.length === name.length && part.toString('latin1').toLowerCase() === name,
  )
}

function readRecord(body: Buffer): ThrownRecord {
  return JSON.parse(body.toString()) as ThrownRecord
}
