import { constants, createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'

import type { Logger } from '../core/log.ts'
import { continueWhenRead } from './expect-continue.ts'
import { Http2Request, type Http2Head } from './http2-request.ts'
import { Http2Response } from './http2-response.ts'
import { asSocket, wasGivenUp } from './http2-stream.ts'
import { SilentEnds } from './silent-ends.ts'

export interface Http2FrontOptions {
  readonly log: Logger
  /** Time without a stream after which a connection is closed. */
  readonly idleMs: number
  readonly onRequest: (incoming: Http2Request, outgoing: Http2Response) => void
}

/** Connections that speak HTTP/2. A room of its own, so that `node:http2` is loaded with the first of them. */
export interface Http2Front {
  /** Serves a connection; bytes that were read from it must have been put back. */
  accept(socket: Socket): void
  /** Tells every client to send its next request elsewhere; what it has sent meanwhile is still answered. */
  announceEnd(): void
  /** Takes no more requests; a connection closes with its last answer. */
  close(): void
}

/** RFC 9113 section 6.5.2 names these; without the first a client could have any number of requests under way. */
const SETTINGS = {
  maxConcurrentStreams: 128,
  /** What a client may send ahead of a slow reader, for one request. */
  initialWindowSize: 256 * 1024,
  /** Above our own limit, which is told with a 431 where this one only resets the stream. */
  maxHeaderListSize: 64 * 1024,
}
/** What a client may send ahead on a whole connection. */
const CONNECTION_WINDOW_BYTES = 1024 * 1024
const LIMITS_OF_SESSION = {
  /** Fields; checkHead refuses beyond a thousand. */
  maxHeaderListPairs: 1_100,
  /** Megabytes of one connection's streams that wait; more refuses new streams. */
  maxSessionMemory: 256,
  /** Frames against the protocol before the connection is closed. */
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  maxSettings: 32,
  maxOutstandingPings: 10,
  /** Fields of an answer: upstreams put tokens into theirs. */
  maxSendHeaderBlockLength: 128 * 1024,
}
/** Promises nothing about the last stream: RFC 9113 section 6.8, the first of two GOAWAY frames. */
const EVERY_STREAM = 2 ** 31 - 1

export function openHttp2Front(options: Http2FrontOptions): Http2Front {
  const sessions = new Set<ServerHttp2Session>()
  const silentEnds = new SilentEnds()
  const server = createServer({ settings: SETTINGS, ...LIMITS_OF_SESSION })
  server.on('session', (session) => {
    sessions.add(session)
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    watchSession(session, options)
    session.once('close', () => sessions.delete(session))
  })
  server.on('sessionError', (error: NodeJS.ErrnoException) =>
    options.log.debug('connection.fail', { code: error.code, message: error.message }),
  )
  server.on('stream', (stream, headers, _flags, ...[raw]: readonly (readonly string[])[]) => {
    serve(stream, { headers, raw: raw ?? [] }, options)
  })
  return {
    accept(socket) {
      // A client that sends no more requests is gone, which a half-open connection would hide.
      socket.allowHalfOpen = false
      silentEnds.watch(socket)
      server.emit('connection', socket)
    },
    announceEnd() {
      for (const session of sessions)
        if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, EVERY_STREAM)
    },
    close() {
      for (const session of sessions) session.close()
    },
  }
}

function serve(stream: ServerHttp2Stream, head: Http2Head, { onRequest }: Http2FrontOptions): void {
  stream.on('error', ignore)
  // Reset before anybody saw it.
  if (stream.closed || stream.destroyed) return
  const socket = asSocket(stream)
  const incoming = new Http2Request(stream, socket, head)
  const outgoing = new Http2Response(incoming, stream, socket)
  if (incoming.headers.expect?.toLowerCase() === '100-continue') continueWhenRead(incoming, outgoing)
  onRequest(incoming, outgoing)
}

function ignore(): void {
  // A stream that breaks is told by its close event.
}

/** Resets a client may send at once, and afterwards a second: a page that is left cancels what it loads, nobody cancels for a living. */
const RESETS_BURST = 500
const RESETS_PER_SECOND = 33

/**
 * Closes a connection that has had no stream for a while (activity of any kind, pings included, starts the time anew),
 * and one whose requests are reset as fast as they come (CVE-2023-44487): each costs us more than its sender.
 */
function watchSession(session: ServerHttp2Session, { idleMs, log }: Http2FrontOptions): void {
  let streams = 0
  let resets = RESETS_BURST
  let at = performance.now()
  const onReset = (): void => {
    const now = performance.now()
    resets = Math.min(RESETS_BURST, resets + ((now - at) / 1_000) * RESETS_PER_SECOND) - 1
    at = now
    if (resets >= 0 || session.destroyed) return
    log.warn('connection.resets', { clientAddress: session.socket.remoteAddress })
    session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }
  function onClose(this: ServerHttp2Stream): void {
    streams--
    if (this.rstCode !== constants.NGHTTP2_NO_ERROR && !wasGivenUp(this)) onReset()
  }
  session.on('stream', (stream) => {
    if (stream.destroyed) {
      onReset()
      return
    }
    streams++
    stream.once('close', onClose)
  })
  session.setTimeout(idleMs, () => {
    if (streams === 0) session.close()
  })
}
