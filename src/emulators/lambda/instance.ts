import type { IncomingMessage, ServerResponse } from 'node:http'

import { FlexiError } from '../../core/errors.ts'
import type { RequestContext } from '../../core/fetcher.ts'
import type {
  FunctionFault,
  Instance,
  InvokeContext,
  InvokeResult,
  InvokeStream,
} from '../../core/function.ts'
import { wantedProcessorMs } from '../../instances/demand.ts'
import { discard } from '../../forward/request-body.ts'
import { arnAsked, functionRegion, type Definition } from './definition.ts'
import type { Execution } from './execution.ts'
import type { Caller, Settled } from './settled.ts'
import { routeOptions, type FrontEnd, type FrontEndRequest } from './front-ends/front-end.ts'
import { frontEndOf } from './front-ends/front-ends.ts'
import { passageOf } from './front-ends/passage.ts'
import { sendAnswer } from './front-ends/send.ts'
import { HttpCaller } from './http-caller.ts'
import { SIX_MIB } from './limits.ts'
import { readBody, tooLarge } from './request-body.ts'
import { newTrace, traceOf } from './trace.ts'

/** Bodies of requests that were handed back: what was read once cannot be read again. */
const handedBack = new WeakMap<IncomingMessage, Promise<Buffer | undefined>>()

function notStarted(): FlexiError {
  return new FlexiError('FLEXI_NOT_STARTED', 'the environment was busy with another invocation')
}

/** Counts bytes only where characters alone cannot tell: one has up to three. */
function isLarger(text: string, bytesMax: number): boolean {
  return text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax
}

/** Each endpoint says in its own words that a request is too large; the rest of it is read and dropped. */
function refuseTooLarge(error: unknown, { frontEnd, incoming, outgoing, context }: HttpExchange): void {
  if (!(error instanceof FlexiError) || error.code !== 'FLEXI_BODY_TOO_LARGE') throw error
  const request = { context, trace: traceOf(context), passage: passageOf(context) }
  sendAnswer(outgoing, frontEnd.refuse('too-large'), { frontEnd, request })
  discard(incoming)
}

interface HttpExchange {
  readonly frontEnd: FrontEnd
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

/** An environment that answers HTTP and takes plain invocations. */
export class LambdaInstance implements Instance {
  readonly #execution: Execution
  readonly #definition: Definition
  readonly #region: string

  constructor(execution: Execution, definition: Definition) {
    this.#execution = execution
    this.#definition = definition
    this.#region = functionRegion(definition, process.env)
  }

  get closed(): Promise<Error | undefined> {
    return this.#execution.closed
  }

  processorMs(): number | undefined {
    const { pid } = this.#execution.environment
    return pid === undefined ? undefined : wantedProcessorMs(pid)
  }

  handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void> {
    const frontEnd = frontEndOf(context)
    const exchange = { frontEnd, incoming, outgoing, context }
    const body = handedBack.get(incoming) ?? readBody(incoming, frontEnd.requestBytesMax)
    return body === undefined
      ? this.#answer(exchange, undefined)
      : body
          .then((bytes) => this.#answer(exchange, bytes))
          .catch((error: unknown) => refuseTooLarge(error, exchange))
  }

  async invoke(payload: Uint8Array, context: InvokeContext): Promise<InvokeResult> {
    const event = parseableEvent(payload)
    const caller = new PayloadCaller(context)
    const { id, clientContext, trace = newTrace(id, Date.now()) } = context
    const functionArn = arnAsked(this.#definition, context.qualifier)
    const invocation = { id, event, trace: environmentTrace(trace, id), clientContext, functionArn }
    this.#execution.run(invocation, caller)
    const outcome = await caller.outcome
    if (context.unlogged !== true && outcome.kind !== 'recalled') {
      await caller.completion
      // The last lines are said a turn later.
      await new Promise((resolve) => setImmediate(resolve))
    }
    const log = context.unlogged === true ? '' : `${caller.log.join('\n')}\n`
    const contentType = 'application/json'
    switch (outcome.kind) {
      case 'result':
        return { payload: outcome.payload, contentType, log }
      case 'streamed':
        return { payload: Buffer.concat(caller.chunks), contentType: caller.contentType, log }
      case 'failed':
        return { payload: outcome.payload, contentType, functionError: 'Unhandled', log }
      case 'recalled':
        throw notStarted()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#execution.dispose()
  }

  #answer({ frontEnd, incoming, outgoing, context }: HttpExchange, body: Buffer | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const { httpVersion } = incoming
      const { functionName } = this.#definition
      const trace = traceOf(context)
      const options = routeOptions(context)
      const passage = passageOf(context)
      const streams = passage?.streams ?? options?.streams
      const region = this.#region
      const request: FrontEndRequest = { context, httpVersion, body, trace, functionName, region, passage }
      const event = frontEnd.event(request)
      // An event has the limit of an invocation, and Base64 makes a body a third larger.
      if (isLarger(event, SIX_MIB)) throw tooLarge(SIX_MIB)
      const malformed = (message: string): FunctionFault => this.#malformed(message, context.id)
      const giveBack = (): void => {
        handedBack.set(incoming, Promise.resolve(body))
        reject(notStarted())
      }
      const caller = new HttpCaller({
        frontEnd,
        request,
        outgoing,
        streams: streams ?? frontEnd.streams,
        waitMs: this.#waitMs(options?.timeoutMs ?? (streams === true ? Infinity : frontEnd.waitMs)),
        malformed,
        finished: resolve,
        handedBack: giveBack,
      })
      // The invocation goes on when the client leaves, as it does in the cloud: handlers rely on being run to their end.
      const functionArn = arnAsked(this.#definition, passage?.qualifier)
      const invocation = {
        id: context.id,
        event,
        trace: environmentTrace(trace, context.id),
        functionArn,
        bodyApart: frontEnd.takesBodyApart,
      }
      this.#execution.run(invocation, caller)
    })
  }

  /** Undefined where the function's own limit comes first, and while somebody debugs it. */
  #waitMs(waitMs: number): number | undefined {
    const { timeoutMs, scope } = this.#definition
    return waitMs < timeoutMs && scope.inspectPort === undefined ? waitMs : undefined
  }

  #malformed(message: string, requestId: string): FunctionFault {
    const fault: FunctionFault = {
      function: this.#definition.name,
      kind: 'result',
      name: 'Function.ResultMalformed',
      message,
      requestId,
      hint: 'Return { statusCode, headers, body }, with a text as the body.',
    }
    this.#definition.scope.report(fault)
    return fault
  }
}

/** Waits for an invocation on behalf of one who takes the payload as it is. */
class PayloadCaller implements Caller {
  readonly chunks: Buffer[] = []
  readonly log: string[] = []
  contentType = 'application/octet-stream'
  readonly outcome: Promise<Settled>
  readonly completion: Promise<void>
  readonly logged?: (line: string) => void
  readonly #stream: InvokeStream | undefined
  #settle: (outcome: Settled) => void = () => undefined
  #complete: () => void = () => undefined

  constructor({ stream, unlogged }: InvokeContext) {
    this.#stream = stream
    if (unlogged !== true) this.logged = (line) => void this.log.push(line)
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve
    })
    this.completion = new Promise((resolve) => {
      this.#complete = resolve
    })
  }

  streamStarted(contentType: string): void {
    this.contentType = contentType
    this.#stream?.started(contentType)
  }

  streamChunk(bytes: Buffer, taken: () => void): void {
    if (this.#stream !== undefined) {
      this.#stream.chunk(bytes, taken)
      return
    }
    this.chunks.push(bytes)
    taken()
  }

  settled(outcome: Settled): void {
    this.#settle(outcome)
  }

  completed(): void {
    this.#complete()
  }
}

/** What `_X_AMZN_TRACE_ID` is for the handler: the root with a segment of its own, and nothing sampled. */
function environmentTrace(trace: string, id: string): string {
  return trace.includes('Parent=')
    ? trace
    : `${trace};Parent=${id.slice(24, 36)}${id.slice(19, 23)};Sampled=0`
}

/** An empty payload is an empty event. @throws FlexiError FLEXI_BAD_REQUEST when it is no JSON. */
function parseableEvent(payload: Uint8Array): Uint8Array | string {
  if (payload.length === 0) return '{}'
  if (payload.length > SIX_MIB) throw tooLarge(SIX_MIB)
  try {
    JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString())
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new FlexiError(
      'FLEXI_BAD_REQUEST',
      `Could not parse request body into json: Could not parse payload into json: ${reason}`,
      {
        hint: 'An event is JSON: {"key": "value"}.',
        cause,
      },
    )
  }
  return payload
}
