import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

import { RESPONSE_BYTES_MAX } from '../limits.ts'
import type { Invocation, Outcome } from './environment.ts'
import {
  ACCEPTED,
  answer,
  collect,
  drop,
  errorBody,
  errorOutcome,
  notFound,
  send,
} from './runtime-messages.ts'

/** What the runtime's calls mean to its environment. */
export interface RuntimeApiEvents {
  /** The first request for an invocation: Init is over. */
  ready(): void
  initError(payload: Buffer): void
  streamStarted(contentType: string): void
  streamChunk(bytes: Buffer, taken: () => void): void
  done(outcome: Outcome): void
}

type State =
  | 'Started'
  | 'Ready'
  | 'Running'
  | 'InvocationResponse'
  | 'InvocationErrorResponse'
  | 'ResponseSent'
  | 'InitError'

const PREFIX = '/2018-06-01/'
/** Most runtimes put their own messages around a response of 6 MiB. */
const ERROR_BYTES_MAX = RESPONSE_BYTES_MAX

/**
 * The HTTP API that one runtime process polls: one server an environment, because a runtime is told no more than `host:port`.
 * Source: Lambda guide, custom runtimes; the order of calls is enforced as the cloud does.
 */
export class RuntimeApi {
  readonly #events: RuntimeApiEvents
  readonly #functionArn: string
  readonly #server: Server
  #state: State = 'Started'
  #current: Invocation | undefined
  /** A poll that waits for an invocation. */
  #poll: ServerResponse | undefined
  /** An invocation that waits for a poll. */
  #waiting: Invocation | undefined
  #load: ServerResponse | undefined
  #variables: Readonly<Record<string, string>> | undefined

  constructor(functionArn: string, events: RuntimeApiEvents) {
    this.#events = events
    this.#functionArn = functionArn
    // A poll may wait for hours and a stream last for minutes: none of Node's time limits may cut them.
    this.#server = createServer({
      keepAlive: true,
      requestTimeout: 0,
      headersTimeout: 0,
      connectionsCheckingInterval: 2 ** 30,
    })
    this.#server.keepAliveTimeout = 0
    this.#server.timeout = 0
    this.#server.on('request', (incoming, outgoing) => this.#request(incoming, outgoing))
  }

  /** `127.0.0.1:PORT` */
  async listen(): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', () => resolve())
    })
    const address = this.#server.address()
    return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  /** Lets a runtime of ours load the user's code, with the variables that were not known when it started. */
  load(variables: Readonly<Record<string, string>>): void {
    this.#variables = variables
    if (this.#load !== undefined) answer(this.#load, 200, variables)
    this.#load = undefined
  }

  invoke(invocation: Invocation): void {
    this.#waiting = invocation
    if (this.#poll !== undefined) this.#handOut(this.#poll)
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #request(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const url = incoming.url ?? ''
    const call = url.startsWith(PREFIX) ? url.slice(PREFIX.length) : ''
    if (incoming.method === 'GET') this.#get(call, outgoing)
    else if (incoming.method === 'POST') this.#post(call, incoming, outgoing)
    else notFound(outgoing)
  }

  #post(call: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const [, id, what] = /^runtime\/invocation\/([^/]+)\/(response|error)$/.exec(call) ?? []
    if (call === 'runtime/init/error') this.#initError(incoming, outgoing)
    else if (id === undefined) notFound(outgoing)
    else if (what === 'response') this.#response(incoming, outgoing, id)
    else this.#error(incoming, outgoing, id)
  }

  #get(call: string, outgoing: ServerResponse): void {
    if (call === 'ping') outgoing.end('pong')
    else if (call === 'runtime/invocation/next') this.#next(outgoing)
    else if (call === 'flexi/load' && this.#variables !== undefined) answer(outgoing, 200, this.#variables)
    else if (call === 'flexi/load') this.#load = outgoing
    else notFound(outgoing)
  }

  #next(outgoing: ServerResponse): void {
    if (this.#state === 'Running' && this.#current !== undefined) {
      send(outgoing, this.#current, this.#functionArn)
      return
    }
    if (this.#state !== 'Started' && this.#state !== 'Ready' && this.#state !== 'ResponseSent') {
      this.#refuse(outgoing, 'Ready')
      return
    }
    const first = this.#state === 'Started'
    this.#state = 'Ready'
    this.#poll = outgoing
    outgoing.once('close', () => {
      if (this.#poll === outgoing) this.#poll = undefined
    })
    if (first) this.#events.ready()
    if (this.#waiting !== undefined && this.#poll !== undefined) this.#handOut(outgoing)
  }

  #handOut(outgoing: ServerResponse): void {
    if (this.#waiting === undefined) return
    this.#current = this.#waiting
    this.#waiting = undefined
    this.#poll = undefined
    this.#state = 'Running'
    send(outgoing, this.#current, this.#functionArn)
  }

  #response(incoming: IncomingMessage, outgoing: ServerResponse, id: string): void {
    if (!this.#accept(outgoing, id, 'InvocationResponse')) return drop(incoming)
    const mode = incoming.headers['lambda-runtime-function-response-mode']
    if (mode === undefined) {
      this.#buffered(incoming, outgoing)
      return
    }
    if (mode === 'streaming') {
      this.#streamed(incoming, outgoing)
      return
    }
    drop(incoming)
    const error = { errorMessage: 'Invalid function response mode', errorType: 'InvalidFunctionResponseMode' }
    this.#finish(
      outgoing,
      { status: 400, body: error },
      errorOutcome('Runtime.InvalidResponseModeHeader', error.errorMessage),
    )
  }

  #buffered(incoming: IncomingMessage, outgoing: ServerResponse): void {
    collect(incoming, RESPONSE_BYTES_MAX, (payload) => {
      if (payload === 'too large') {
        const error = `Exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`
        this.#finish(
          outgoing,
          { status: 413, body: { errorMessage: error, errorType: 'RequestEntityTooLarge' } },
          errorOutcome(
            'Function.ResponseSizeTooLarge',
            `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`,
          ),
        )
      } else if (payload === 'truncated') this.#truncated(outgoing)
      else this.#finish(outgoing, ACCEPTED, { kind: 'result', payload })
    })
  }

  #streamed(incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.#events.streamStarted(incoming.headers['content-type'] ?? 'application/octet-stream')
    incoming.on('data', (chunk: Buffer) => {
      incoming.pause()
      this.#events.streamChunk(chunk, () => incoming.resume())
    })
    incoming.on('end', () => {
      const body = incoming.trailers['lambda-runtime-function-error-body']
      const failed = incoming.trailers['lambda-runtime-function-error-type'] !== undefined
      const error = failed ? Buffer.from(body ?? '', 'base64') : undefined
      this.#finish(outgoing, ACCEPTED, { kind: 'streamed', error })
    })
    incoming.on('close', () => {
      if (!incoming.complete) this.#truncated(outgoing)
    })
  }

  #truncated(outgoing: ServerResponse): void {
    const body = { errorMessage: 'HTTP request detected as truncated', errorType: 'TruncatedHTTPRequest' }
    this.#finish(
      outgoing,
      { status: 400, body },
      errorOutcome('Runtime.TruncatedResponse', body.errorMessage),
    )
  }

  #error(incoming: IncomingMessage, outgoing: ServerResponse, id: string): void {
    if (!this.#accept(outgoing, id, 'InvocationErrorResponse')) return drop(incoming)
    collect(incoming, ERROR_BYTES_MAX, (payload) => {
      if (typeof payload === 'string') this.#truncated(outgoing)
      else this.#finish(outgoing, ACCEPTED, { kind: 'error', payload: errorBody(incoming, payload) })
    })
  }

  #initError(incoming: IncomingMessage, outgoing: ServerResponse): void {
    if (this.#state !== 'Started') {
      drop(incoming)
      this.#refuse(outgoing, 'InitError')
      return
    }
    this.#state = 'InitError'
    collect(incoming, ERROR_BYTES_MAX, (payload) => {
      answer(outgoing, 202, { status: 'OK' })
      this.#events.initError(typeof payload === 'string' ? Buffer.from('{}') : errorBody(incoming, payload))
    })
  }

  /** The call fits the state and names the invocation that runs; otherwise it was refused. */
  #accept(outgoing: ServerResponse, id: string, next: State): boolean {
    if (this.#current === undefined || this.#state !== 'Running') {
      this.#refuse(outgoing, next)
      return false
    }
    if (this.#current.id !== id) {
      answer(outgoing, 400, { errorMessage: 'Invalid request ID', errorType: 'InvalidRequestID' })
      return false
    }
    this.#state = next
    return true
  }

  #finish(
    outgoing: ServerResponse,
    reply: { readonly status: number; readonly body: object },
    outcome: Outcome,
  ): void {
    if (this.#state !== 'InvocationResponse' && this.#state !== 'InvocationErrorResponse') return
    this.#state = 'ResponseSent'
    this.#current = undefined
    answer(outgoing, reply.status, reply.body)
    this.#events.done(outcome)
  }

  #refuse(outgoing: ServerResponse, next: State): void {
    const errorMessage = `State transition from ${this.#state} to ${next} failed for runtime. Error: State transition is not allowed`
    answer(outgoing, 403, { errorType: 'InvalidStateTransition', errorMessage })
  }
}
