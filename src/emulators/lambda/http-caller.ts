import type { ServerResponse } from 'node:http'

import { errorMessage } from '../../core/errors.ts'
import type { FunctionFault } from '../../core/function.ts'
import type { Caller, Settled } from './settled.ts'
import { format2Fields } from './front-ends/format-2.ts'
import {
  isRecord,
  statusCode,
  type FrontEnd,
  type FrontEndRequest,
  type HttpAnswer,
} from './front-ends/front-end.ts'
import { headFields, sendAnswer } from './front-ends/send.ts'

export interface HttpCallerOptions {
  readonly frontEnd: FrontEnd
  readonly request: FrontEndRequest
  readonly outgoing: ServerResponse
  /** What the handler streams is passed on as it comes. */
  readonly streams: boolean
  /** The endpoint answers by itself when nothing has come for so long; the invocation goes on. */
  readonly waitMs?: number | undefined
  /** A result that makes no response. */
  malformed(message: string): FunctionFault
  /** The invocation has not begun here. */
  handedBack(): void
  /** The exchange is over, as far as the environment is concerned. */
  finished(): void
}

const HTTP_INTEGRATION = 'application/vnd.awslambda.http-integration-response'
const PRELUDE_END = Buffer.alloc(8)
/** A prelude is a head; nobody sends a megabyte of fields. */
const PRELUDE_BYTES_MAX = 1024 * 1024

/** Waits for an invocation on behalf of an HTTP client. */
export class HttpCaller implements Caller {
  readonly #options: HttpCallerOptions
  readonly #timer: NodeJS.Timeout | undefined
  /** Chunks that make no response yet: a prelude, or a stream for a client that cannot take one. */
  #held: Buffer[] = []
  #heldBytes = 0
  #expectsPrelude = false

  constructor(options: HttpCallerOptions) {
    this.#options = options
    if (options.waitMs !== undefined) this.#timer = setTimeout(() => this.#timedOut(), options.waitMs).unref()
  }

  streamStarted(contentType: string): void {
    if (!this.#options.streams) return
    this.#expectsPrelude = contentType === HTTP_INTEGRATION
    if (!this.#expectsPrelude) this.#writeHead(200, ['content-type', contentType])
  }

  streamChunk(bytes: Buffer, taken: () => void): void {
    if (!this.#options.streams || this.#expectsPrelude) {
      this.#held.push(bytes)
      this.#heldBytes += bytes.length
      taken()
      if (this.#expectsPrelude) this.#readPrelude()
      return
    }
    this.#pass(bytes, taken)
  }

  settled(outcome: Settled): void {
    clearTimeout(this.#timer)
    if (outcome.kind === 'recalled') {
      this.#options.handedBack()
      return
    }
    // The next invocation goes out first: its environment works while this answer is written.
    setImmediate(() => this.#deliver(outcome))
  }

  completed(): void {
    this.#options.finished()
  }

  #timedOut(): void {
    const { outgoing, frontEnd, request } = this.#options
    sendAnswer(outgoing, frontEnd.refuse('timed-out'), { frontEnd, request })
  }

  #deliver(outcome: Exclude<Settled, { kind: 'recalled' }>): void {
    const { outgoing } = this.#options
    if (outcome.kind === 'failed') this.#fail(outcome.fault)
    else if (outcome.kind === 'result') this.#answer(outcome.payload, outcome.body)
    else if (!this.#options.streams) this.#answer(Buffer.concat(this.#held))
    else if (this.#expectsPrelude) this.#malformed('the stream ended before its head was complete')
    else outgoing.end()
  }

  #answer(payload: Buffer, body?: Buffer): void {
    const { frontEnd, request } = this.#options
    const answer = frontEnd.answer(payload, request)
    if (answer === undefined) this.#malformed(`the result makes no response: ${preview(payload)}`)
    else this.#send(body === undefined ? answer : { ...answer, body })
  }

  #malformed(message: string): void {
    const { frontEnd, request, outgoing } = this.#options
    const fault = this.#options.malformed(message)
    if (outgoing.headersSent || request.context.explain(fault, outgoing)) return
    this.#send(frontEnd.refuse('malformed-result'))
  }

  #fail(fault: FunctionFault): void {
    const { frontEnd, request, outgoing } = this.#options
    if (outgoing.writableEnded) return
    // A body cut short is the only sign left that something went wrong.
    if (outgoing.headersSent) outgoing.destroy()
    else if (!request.context.explain(fault, outgoing)) this.#send(frontEnd.refuse('function-error'))
  }

  #send({ status, fields, body }: HttpAnswer): void {
    const bodiless = status === 204 || status === 304
    const all = bodiless ? fields : [...fields, 'content-length', String(Buffer.byteLength(body))]
    if (this.#writeHead(status, all)) this.#options.outgoing.end(bodiless ? undefined : body)
  }

  /** False when the head could not be sent: the client left, or was answered otherwise. */
  #writeHead(status: number, fields: readonly string[]): boolean {
    const { outgoing, request, frontEnd } = this.#options
    if (outgoing.headersSent || outgoing.destroyed) return false
    try {
      outgoing.writeHead(status, headFields(fields, frontEnd, request))
      return true
    } catch (error) {
      this.#malformed(`the result makes no response: ${errorMessage(error)}`)
      return false
    }
  }

  #readPrelude(): void {
    const bytes = Buffer.concat(this.#held)
    this.#held = [bytes]
    const end = bytes.indexOf(PRELUDE_END)
    if (end === -1) {
      if (this.#heldBytes <= PRELUDE_BYTES_MAX) return
      this.#held = []
      this.#expectsPrelude = false
      this.#malformed('the stream has no head')
      return
    }
    const prelude = parsePrelude(bytes.subarray(0, end))
    this.#held = []
    this.#expectsPrelude = false
    if (prelude === undefined) {
      this.#malformed(`the head of the stream makes no response: ${preview(bytes.subarray(0, end))}`)
      return
    }
    this.#writeHead(prelude.status, prelude.fields)
    const rest = bytes.subarray(end + PRELUDE_END.length)
    if (rest.length > 0) this.#pass(rest, () => undefined)
  }

  /** Bytes go on as fast as the client takes them; those for a client that left are thrown away. */
  #pass(bytes: Buffer, taken: () => void): void {
    const { outgoing } = this.#options
    if (outgoing.destroyed || outgoing.writableEnded) return taken()
    if (outgoing.write(bytes)) return taken()
    const settle = (): void => {
      outgoing.off('drain', settle)
      outgoing.off('close', settle)
      taken()
    }
    outgoing.on('drain', settle)
    outgoing.on('close', settle)
  }
}

function parsePrelude(bytes: Buffer): Omit<HttpAnswer, 'body'> | undefined {
  try {
    const prelude: unknown = JSON.parse(bytes.toString())
    if (!isRecord(prelude)) return undefined
    const status = statusCode(prelude['statusCode'] ?? 200)
    const fields = format2Fields(prelude)
    return status === undefined || fields === undefined ? undefined : { status, fields }
  } catch {
    return undefined
  }
}

function preview(bytes: Buffer): string {
  const text = bytes.toString('utf8', 0, 200)
  return bytes.length > 200 ? `${text}…` : text
}
