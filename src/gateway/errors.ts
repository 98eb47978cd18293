import { STATUS_CODES, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'

import { errorMessage, FlexiError } from '../core/errors.ts'
import { problemText } from '../forward/problem.ts'
import { discard } from '../forward/request-body.ts'
import { REQUEST_ID, toldRequestId } from '../forward/request-id.ts'
import { wantsPage } from './browser.ts'
import type { Exchange } from './context.ts'
import { errorPage, sendPage } from './error-page.ts'
import type { Refusal } from './head-check.ts'

/** Answers for a fetcher that gave up, and writes the one log line of it. */
export function answerError(cause: unknown, outgoing: ServerResponse, exchange: Exchange): void {
  const error = cause instanceof FlexiError ? cause : bug(cause, exchange)
  logError(cause, error, exchange)
  if (outgoing.headersSent || error.code === 'FLEXI_CLIENT_GONE') {
    outgoing.destroy()
    return
  }
  // What the fetcher had set describes the answer it did not give.
  for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name)
  for (const [name, value] of Object.entries(retryFields(error))) outgoing.setHeader(name, value)
  nameRequest(outgoing, exchange)
  if (exchange.server.settings.mode === 'dev' && wantsPage(exchange.incoming)) {
    sendPage(
      outgoing,
      errorPage(error, { requestId: exchange.id, directory: exchange.server.settings.directory }),
    )
  } else if (exchange.server.settings.plainErrors) {
    sendPlain(outgoing, error)
  } else {
    sendProblem(outgoing, problemOf(error, exchange.id), {})
  }
  discard(exchange.incoming)
}

/** Answers a request that must not be served; its connection ends with it, because what follows cannot be trusted. */
export function refuseHead(refusal: Refusal, outgoing: ServerResponse, exchange: Exchange): void {
  const problem = problemText({
    status: refusal.status,
    detail: refusal.message,
    code: 'FLEXI_BAD_REQUEST',
    requestId: exchange.id,
  })
  exchange.log.debug('request.refuse', { status: refusal.status, reason: refusal.message })
  nameRequest(outgoing, exchange)
  sendProblem(outgoing, { status: refusal.status, text: problem }, { Connection: 'close' })
}

/** As answers of upstreams do; FlexiLib's clients get none. */
function nameRequest(outgoing: ServerResponse, { server, incoming, id }: Exchange): void {
  if (!server.settings.plainErrors) outgoing.setHeader(REQUEST_ID, toldRequestId(incoming.headers, id))
}

/** The body of an answer to bytes that were no request: there is no exchange, but the client can still be told. */
export function badRequestText(refusal: Refusal, requestId: string): string {
  return problemText({
    status: refusal.status,
    detail: refusal.message,
    code: 'FLEXI_BAD_REQUEST',
    requestId,
  })
}

function bug(cause: unknown, exchange: Exchange): FlexiError {
  const message =
    exchange.server.settings.mode === 'dev' ? errorMessage(cause) : 'something went wrong in flexi'
  return new FlexiError('FLEXI_BUG', message, { cause })
}

function logError(cause: unknown, error: FlexiError, exchange: Exchange): void {
  if (error.code === 'FLEXI_BUG') {
    const stack = cause instanceof Error ? cause.stack : String(cause)
    exchange.log.error('request.bug', { message: errorMessage(cause), stack })
  } else if (error.status >= 500 && !error.reported) {
    exchange.log.warn('request.fail', { code: error.code, message: error.message })
  } else {
    exchange.log.debug('request.fail', { code: error.code, message: error.message })
  }
}

function problemOf(error: FlexiError, requestId: string): { status: number; text: string } {
  const { code, message, hint, status } = error
  return { status, text: problemText({ status, detail: message, code, hint, requestId }) }
}

/** FlexiLib's answer to all that fails on the server's side: the phrase of the status, without a content-type. */
function sendPlain(outgoing: ServerResponse, error: FlexiError): void {
  // What cannot be loaded is to FlexiLib's clients a server that fails, and no bad gateway.
  const status = error.code === 'FLEXI_FUNCTION_INIT' ? 500 : error.status
  const text = `${STATUS_CODES[status] ?? 'Error'}\n`
  outgoing.writeHead(status, { 'Content-Length': text.length })
  outgoing.end(text)
}

function retryFields(error: FlexiError): Readonly<Record<string, string | number>> {
  const { retryAfterSeconds: seconds, answerFields } = error
  return seconds === undefined ? answerFields : { 'Retry-After': Math.ceil(seconds), ...answerFields }
}

function sendProblem(
  outgoing: ServerResponse,
  problem: { status: number; text: string },
  fields: OutgoingHttpHeaders,
): void {
  outgoing.writeHead(problem.status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(problem.text),
    'Cache-Control': 'no-store',
    ...fields,
  })
  outgoing.end(problem.text)
}
