import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { errorMessage, FlexiError } from '../core/errors.ts'
import type { AccessRecord } from '../core/events.ts'
import type { MatchedRoute, RawRequest, RequestContext, RequestId } from '../core/fetcher.ts'
import type { FunctionFault } from '../core/function.ts'
import type { Logger } from '../core/log.ts'
import { REQUEST_ID, sentRequestId, toldRequestId } from '../forward/request-id.ts'
import { wantsPage } from './browser.ts'
import { faultPage, sendPage } from './error-page.ts'
import type { RouteMatch } from './route-table.ts'
import type { ServerState } from './server-state.ts'

/**
 * The context of one request. What costs something is made when somebody first asks for it:
 * most requests need no id, no logger and no signal.
 */
export class Exchange implements RequestContext {
  readonly server: ServerState
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse | undefined
  readonly receivedAt = Date.now()
  /** On the clock of `performance.now()`. */
  readonly startedAt = performance.now()
  readonly clientAddress: string
  readonly clientPort: number
  readonly protocol: 'http' | 'https'
  readonly trustedPeer: string | undefined
  readonly forwardedHost: string | undefined
  /** The target as sent, whatever prefix is taken off for the fetcher. */
  readonly sentTarget: string
  raw: RawRequest
  match: RouteMatch | undefined
  /** Index among the open exchanges: theirs to write. */
  place = -1
  #id: RequestId | undefined
  #log: Logger | undefined
  #controller: AbortController | undefined
  #timer: NodeJS.Timeout | undefined
  #notes: Readonly<Record<string, unknown>> | undefined
  #ended: 'finished' | 'gone' | undefined

  /** `outgoing` is absent while a request asks for another protocol. */
  constructor(server: ServerState, incoming: IncomingMessage, outgoing?: ServerResponse) {
    const { method = '', url = '' } = incoming
    this.server = server
    this.incoming = incoming
    this.outgoing = outgoing
    // Read now: a closed socket no longer knows its peer.
    const client = server.clientOf(incoming)
    this.trustedPeer = client.trustedPeer
    this.forwardedHost = client.forwardedHost
    this.clientAddress = client.address
    this.clientPort = client.port
    this.protocol = client.protocol
    this.sentTarget = url
    this.raw = { method, target: url, fields: incoming.rawHeaders }
  }

  get id(): RequestId {
    this.#id ??= randomUUID() as string as RequestId
    return this.#id
  }

  get log(): Logger {
    this.#log ??= this.server.settings.log.child({ request: this.id })
    return this.#log
  }

  get deadline(): number {
    return this.receivedAt + this.server.settings.requestMs
  }

  get route(): MatchedRoute | undefined {
    if (this.match === undefined) return undefined
    const { route, parameters } = this.match
    return { pattern: route.rule.pattern, parameters, options: route.rule.options }
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#ended === 'gone') this.#controller.abort(clientGone())
      if (this.#ended === undefined) this.#armDeadline()
    }
    return this.#controller.signal
  }

  #armDeadline(): void {
    const { requestMs } = this.server.settings
    this.#timer = setTimeout(
      () => this.abort(new FlexiError('FLEXI_FUNCTION_TIMEOUT', `no answer within ${requestMs} ms`)),
      Math.max(0, this.deadline - Date.now()),
    )
    this.#timer.unref()
  }

  abort(reason: FlexiError): void {
    this.#controller?.abort(reason)
  }

  waitUntil(task: Promise<unknown>): void {
    this.server.keep(
      task.catch((error: unknown) => this.log.error('task.fail', { message: errorMessage(error) })),
    )
  }

  note(fields: Readonly<Record<string, unknown>>): void {
    // Not a copy by spread: that has no room for more fields, and adding one then costs a microsecond.
    this.#notes = Object.assign(this.#notes ?? {}, fields)
  }

  get notes(): Readonly<Record<string, unknown>> {
    return this.#notes ?? NO_NOTES
  }

  explain(fault: FunctionFault, outgoing: ServerResponse): boolean {
    const { mode, directory } = this.server.settings
    if (mode !== 'dev' || outgoing.headersSent || !wantsPage(this.incoming)) return false
    const requestId = fault.requestId ?? this.id
    const page = faultPage(fault, { requestId, directory })
    outgoing.setHeader(REQUEST_ID, toldRequestId(this.incoming.headers, requestId))
    sendPage(outgoing, outgoing.statusCode >= 400 ? { ...page, status: outgoing.statusCode } : page)
    return true
  }

  /** The response has ended, or never will. */
  end(finished: boolean): void {
    this.#ended = finished ? 'finished' : 'gone'
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    if (!finished) this.abort(clientGone())
  }

  /** The access log's record, once the exchange has ended. */
  record(result: { status: number; bytes: number; headAt: number }): AccessRecord {
    const now = performance.now()
    return {
      id: this.id,
      traceId: sentRequestId(this.incoming.headers),
      clientAddress: this.clientAddress,
      clientPort: this.clientPort,
      method: this.raw.method,
      target: this.sentTarget,
      httpVersion: this.incoming.httpVersion,
      status: result.status,
      bytes: result.bytes,
      ttfbMs: (result.headAt === 0 ? now : result.headAt) - this.startedAt,
      ttlbMs: now - this.startedAt,
      route: this.match?.route.rule.pattern,
      aborted: this.#ended === 'gone',
      notes: this.notes,
    }
  }
}

const NO_NOTES: Readonly<Record<string, unknown>> = Object.freeze({})

function clientGone(): FlexiError {
  return new FlexiError('FLEXI_CLIENT_GONE', 'the client closed the connection')
}
