import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

import type { RequestContext } from '../core/fetcher.ts'
import { fieldValue } from './request-line.ts'

/** Carries a request's id from server to server, so that their logs can be put together. */
export const REQUEST_ID = 'X-Request-Id'
export const REQUEST_ID_KEY = 'x-request-id'

/** Visible characters: an id ends up in logs, and nobody may write lines there. */
const VALID = /^[!-~]{1,200}$/

/** The id that the client, or a server before us, gave the request; undefined when there is none that is fit to be logged. */
export function sentRequestId(headers: IncomingHttpHeaders): string | undefined {
  const id = headers[REQUEST_ID_KEY]
  return typeof id === 'string' && VALID.test(id) ? id : undefined
}

/** The id that the client is told: the one it gave, else ours. */
export function toldRequestId(headers: IncomingHttpHeaders, id: string): string {
  return sentRequestId(headers) ?? id
}

/** Tells the client the id its request had, unless the upstream tells one itself. */
export function addRequestId(
  fields: string[],
  { incoming, context }: { readonly incoming: IncomingMessage; readonly context: RequestContext },
): void {
  if (fieldValue(fields, REQUEST_ID_KEY) !== undefined) return
  fields.push(REQUEST_ID, toldRequestId(incoming.headers, context.id))
}
