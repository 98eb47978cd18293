import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import type { Logger } from './log.ts'
import type { FunctionFault } from './function.ts'

/** UUID, version 4: Lambda's awsRequestId and the log's `request`. */
export type RequestId = string & { readonly __brand: 'RequestId' }

/** What `URL` and `Headers` destroy: the target as sent, and every field in wire order with its own case. */
export interface RawRequest {
  readonly method: string
  /** Request target as sent (`/a%2Fb?x=1`); a stripped prefix such as `/_flexi/f/NAME` is gone from it. */
  readonly target: string
  /** name, value, name, value … exactly as `IncomingMessage.rawHeaders` has them. */
  readonly fields: readonly string[]
}

/** How the request reached its function, for providers whose events tell (API Gateway's routeKey and pathParameters). */
export interface MatchedRoute {
  /** The route as its file writes it: `GET /users/{id}`, `Host: iam /`. */
  readonly pattern: string
  /** Undecoded values of the pattern's parameters; empty for prefix routes. */
  readonly parameters: Readonly<Record<string, string>>
  /** The provider's own data, put there by the provider's reader of its configuration. */
  readonly options?: unknown
}

export interface RequestContext {
  readonly id: RequestId
  /** Aborts when the client goes, the deadline passes or the server stops; `signal.reason` says which. */
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  readonly deadline: number
  /** Milliseconds since the epoch at which the head was parsed. */
  readonly receivedAt: number
  /** Address without port; `::ffff:` is already cut. */
  readonly clientAddress: string
  readonly clientPort: number
  readonly protocol: 'http' | 'https'
  /** The proxy whose connection it is, when it is trusted: what it says about the client stands, and the three above are from there. */
  readonly trustedPeer?: string | undefined
  /** The host the client asked that proxy for, where it says so in Forwarded (RFC 7239). */
  readonly forwardedHost?: string | undefined
  readonly raw: RawRequest
  readonly route: MatchedRoute | undefined
  readonly log: Logger
  /** Work that outlives the response; drain and shutdown wait for it. */
  waitUntil(task: Promise<unknown>): void
  /** Fields of the access log that only the fetcher knows (`{ function, alloc }`). */
  note(fields: Readonly<Record<string, unknown>>): void
  /**
   * In `dev`, answers a browser with a page that shows the user's own frame, and says that it did.
   * Everyone else gets what the provider would send: the caller goes on when this returns false.
   * The page has the status that `outgoing.statusCode` was set to, 502 when none was.
   */
  explain(fault: FunctionFault, outgoing: ServerResponse): boolean
}

/** Takes over a connection whose client asks for another protocol. A fetcher without it, at that moment, is asked the plain request. */
export type Upgrade = (
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  context: RequestContext,
) => void

/** Web-shaped: what tests and fakes implement, and what Hono serves. */
export interface WebFetcher {
  fetch(request: Request, context: RequestContext): Promise<Response>
  readonly handle?: undefined
  readonly upgrade?: Upgrade | undefined
}

/**
 * Socket-shaped: bytes straight between sockets, where web objects would only be rebuilt. What everything on the fast path implements.
 * The promise settles when the response has ended or was given up; it rejects only before the head is sent, and the gateway answers.
 */
export interface SocketFetcher {
  handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void>
  readonly fetch?: undefined
  readonly upgrade?: Upgrade | undefined
}

/** Everything that answers HTTP: a pool, an upstream, a static folder, a fake. The gateway cannot tell them apart. */
export type Fetcher = WebFetcher | SocketFetcher
