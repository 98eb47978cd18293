import { createServer, type Server } from 'node:net'

import { RESPONSE_BYTES_MAX } from '../limits.ts'
import { ApiConnection, type BodySink } from './api-connection.ts'
import { collector, DROPPED, streamer, type Collected } from './body-sinks.ts'
import type { Invocation, Outcome } from './environment.ts'
import { listen } from './listen.ts'
import { Mounts } from './mounts.ts'
import type { MountedHandler } from './mounted.ts'
import type { Fields, RequestHead } from './request-reader.ts'
import {
  ACCEPTED,
  brokenBy,
  errorBody,
  errorCauseOf,
  errorOutcome,
  errorTypeOf,
  invocationFields,
  isStream,
  JSON_FIELD,
  noticeOf,
  refusal,
  RESPONSE_MODE,
  TEXT_FIELD,
  type Reply,
} from './runtime-messages.ts'

/** What the runtime's calls mean to its environment. */
export interface RuntimeApiEvents {
  /** The first request for an invocation: Init is over. */
  ready(): void
  /** A later request for an invocation: the one before is over, and not before that. */
  idle(): void
  initError(payload: Buffer): void
  /** How the runtime tells a failure in its log, where it is one of ours. */
  notice(text: string): void
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

interface Poll {
  readonly connection: ApiConnection
  readonly request: number
}

const PREFIX = '/2018-06-01/'
const NEXT = `${PREFIX}runtime/invocation/next`
const TRUNCATED = refusal(400, 'TruncatedHTTPRequest', 'HTTP request detected as truncated')
const TOO_LARGE = refusal(
  413,
  'RequestEntityTooLarge',
  `Exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`,
)
const WRONG_MODE = refusal(400, 'InvalidFunctionResponseMode', 'Invalid function response mode')
const WRONG_ID = refusal(400, 'InvalidRequestID', 'Invalid request ID')

/**
 * The HTTP API that one runtime process polls: one server an environment, because a runtime is told no more than `host:port`.
 * It is made of raw sockets, since it is the way of every event and every result: Node's own server takes half of the time again.
 * Source: Lambda guide, custom runtimes; the order of calls is enforced as the cloud does.
 */
export class RuntimeApi {
  readonly #events: RuntimeApiEvents
  readonly #functionArn: string
  readonly #server: Server
  readonly #connections = new Set<ApiConnection>()
  readonly #mounts = new Mounts()
  #state: State = 'Started'
  #current: Invocation | undefined
  /** A request that waits for an invocation. */
  #poll: Poll | undefined
  /** An invocation that waits for a request. */
  #waiting: Invocation | undefined
  #load: Poll | undefined
  #variables: string | undefined

  constructor(functionArn: string, events: RuntimeApiEvents) {
    this.#events = events
    this.#functionArn = functionArn
    const handler = {
      request: (head: RequestHead, connection: ApiConnection) => this.#request(head, connection),
      closed: (connection: ApiConnection) => void this.#connections.delete(connection),
    }
    // No time limits: a poll may wait for hours and a stream last for minutes.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#connections.add(new ApiConnection(socket, handler))
    })
  }

  /** At `127.0.0.1:PORT`, or on this Unix socket. */
  listen(socketPath?: string): Promise<string> {
    return listen(this.#server, socketPath)
  }

  /** Requests whose path begins with `prefix` go to `handler`, bodies and all. */
  mount(prefix: string, handler: MountedHandler): void {
    this.#mounts.add(prefix, handler)
  }

  /** Lets a runtime of ours load the user's code, with the variables that were not known when it started. */
  load(variables: Readonly<Record<string, string>>): void {
    this.#variables = JSON.stringify(variables)
    this.#load?.connection.answer(200, JSON_FIELD, this.#variables)
    this.#load = undefined
  }

  invoke(invocation: Invocation): void {
    this.#waiting = invocation
    this.#handOut()
  }

  close(): void {
    this.#server.close()
    for (const connection of this.#connections) connection.close()
  }

  #request(head: RequestHead, connection: ApiConnection): BodySink {
    const { method, target } = head
    if (method === 'GET' && target === NEXT) return this.#next(connection)
    const query = target.indexOf('?')
    const path = query === -1 ? target : target.slice(0, query)
    const mounted = this.#mounts.sinkOf(head, path, connection)
    if (mounted !== undefined) return mounted
    const call = path.startsWith(PREFIX) ? path.slice(PREFIX.length) : ''
    if (method === 'GET') return this.#get(call, connection)
    return method === 'POST' ? this.#post(call, head.fields, connection) : notFound(connection)
  }

  #get(call: string, connection: ApiConnection): BodySink {
    if (call === 'ping') connection.answer(200, TEXT_FIELD, 'pong')
    else if (call === 'runtime/invocation/next') return this.#next(connection)
    else if (call === 'flexi/load' && this.#variables !== undefined)
      connection.answer(200, JSON_FIELD, this.#variables)
    else if (call === 'flexi/load') this.#load = { connection, request: connection.request }
    else return notFound(connection)
    return DROPPED
  }

  #post(call: string, fields: Fields, connection: ApiConnection): BodySink {
    if (call === 'runtime/init/error') return this.#initError(fields, connection)
    const [, id, what] = /^runtime\/invocation\/([^/]+)\/(response|error)$/.exec(call) ?? []
    if (id === undefined) return notFound(connection)
    return what === 'response' ? this.#response(id, fields, connection) : this.#error(id, fields, connection)
  }

  #next(connection: ApiConnection): BodySink {
    if (this.#state === 'Running' && this.#current !== undefined) {
      this.#send(connection, this.#current)
      return DROPPED
    }
    if (this.#state !== 'Started' && this.#state !== 'Ready' && this.#state !== 'ResponseSent') {
      return this.#refuse(connection, 'Ready')
    }
    const before = this.#state
    this.#state = 'Ready'
    const poll: Poll = { connection, request: connection.request }
    this.#poll = poll
    connection.onLeft = () => {
      if (this.#poll === poll) this.#poll = undefined
    }
    if (before === 'Started') this.#events.ready()
    else if (before === 'ResponseSent') this.#events.idle()
    this.#handOut()
    return DROPPED
  }

  #handOut(): void {
    const poll = this.#poll
    const invocation = this.#waiting
    if (poll === undefined || invocation === undefined) return
    this.#poll = undefined
    // Whoever asked may have left a moment ago: the event waits for the next who asks.
    if (!poll.connection.waits(poll.request)) return
    this.#waiting = undefined
    this.#current = invocation
    this.#state = 'Running'
    this.#send(poll.connection, invocation)
  }

  #send(connection: ApiConnection, invocation: Invocation): void {
    connection.answer(200, invocationFields(invocation, this.#functionArn), invocation.event)
  }

  #response(id: string, fields: Fields, connection: ApiConnection): BodySink {
    if (!this.#accept(connection, id, 'InvocationResponse')) return DROPPED
    const mode = fields.get(RESPONSE_MODE)?.toLowerCase() ?? 'streaming'
    if (mode !== 'streaming') {
      const outcome = errorOutcome('Runtime.InvalidResponseModeHeader', 'Invalid function response mode')
      this.#finish(connection, WRONG_MODE, outcome)
      return DROPPED
    }
    if (isStream(fields)) return this.#streamed(fields, connection)
    return collector(RESPONSE_BYTES_MAX, (payload, trailers) => {
      const error = brokenBy(trailers)
      if (typeof payload === 'string') this.#unusable(connection, payload)
      else if (error === undefined) this.#finish(connection, ACCEPTED, { kind: 'result', payload })
      else this.#finish(connection, ACCEPTED, { kind: 'error', payload: error })
    })
  }

  #streamed(fields: Fields, connection: ApiConnection): BodySink {
    this.#events.streamStarted(fields.get('content-type') ?? 'application/octet-stream')
    return streamer(connection, {
      chunk: (bytes, taken) => this.#events.streamChunk(bytes, taken),
      end: (trailers) => this.#finish(connection, ACCEPTED, { kind: 'streamed', error: brokenBy(trailers) }),
      truncated: () => this.#unusable(connection, 'truncated'),
    })
  }

  #error(id: string, fields: Fields, connection: ApiConnection): BodySink {
    if (!this.#accept(connection, id, 'InvocationErrorResponse')) return DROPPED
    this.#notice(fields)
    return collector(RESPONSE_BYTES_MAX, (payload) => {
      if (typeof payload === 'string') this.#unusable(connection, payload)
      else {
        this.#finish(connection, ACCEPTED, {
          kind: 'error',
          payload: errorBody(fields, payload),
          errorType: errorTypeOf(fields),
          cause: errorCauseOf(fields),
        })
      }
    })
  }

  #initError(fields: Fields, connection: ApiConnection): BodySink {
    if (this.#state !== 'Started') return this.#refuse(connection, 'InitError')
    this.#state = 'InitError'
    this.#notice(fields)
    return collector(RESPONSE_BYTES_MAX, (payload) => {
      connection.answer(ACCEPTED.status, JSON_FIELD, ACCEPTED.body)
      this.#events.initError(typeof payload === 'string' ? Buffer.from('{}') : errorBody(fields, payload))
    })
  }

  #notice(fields: Fields): void {
    const notice = noticeOf(fields)
    if (notice !== undefined) this.#events.notice(notice)
  }

  /** The call fits the state and names the invocation that runs; otherwise it was refused. */
  #accept(connection: ApiConnection, id: string, next: State): boolean {
    if (this.#current === undefined || this.#state !== 'Running') {
      this.#refuse(connection, next)
      return false
    }
    if (this.#current.id !== id) {
      connection.answer(WRONG_ID.status, JSON_FIELD, WRONG_ID.body)
      return false
    }
    this.#state = next
    return true
  }

  #unusable(connection: ApiConnection, why: Exclude<Collected, Buffer>): void {
    if (why === 'too large') this.#finish(connection, TOO_LARGE, { kind: 'too-large' })
    else {
      const outcome = errorOutcome('Runtime.TruncatedResponse', 'HTTP request detected as truncated')
      this.#finish(connection, TRUNCATED, outcome)
    }
  }

  #finish(connection: ApiConnection, { status, body }: Reply, outcome: Outcome): void {
    if (this.#state !== 'InvocationResponse' && this.#state !== 'InvocationErrorResponse') return
    this.#state = 'ResponseSent'
    this.#current = undefined
    connection.answer(status, JSON_FIELD, body)
    this.#events.done(outcome)
  }

  #refuse(connection: ApiConnection, next: State): BodySink {
    const message = `State transition from ${this.#state} to ${next} failed for runtime. Error: State transition is not allowed`
    const { status, body } = refusal(403, 'InvalidStateTransition', message)
    connection.answer(status, JSON_FIELD, body)
    return DROPPED
  }
}

function notFound(connection: ApiConnection): BodySink {
  connection.answer(404, TEXT_FIELD, '404 page not found\n')
  return DROPPED
}
