import type { IncomingMessage, ServerResponse } from 'node:http'

import type { RequestContext } from '../core/fetcher.ts'
import { hasContent } from './client-side.ts'
import { requestFields, type FieldRules } from './fields.ts'
import { isRequestLine, originForm, plainTarget } from './request-line.ts'

export interface Http1Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
  /** More of the head: lines that each end with CRLF. */
  readonly lines: string
}

/** Of a field: no letter that could end its line. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const MEANS_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** The whole head of a forwarded request, empty line included; undefined when it cannot be written without meaning something else. */
export function requestHead(rules: FieldRules, exchange: Http1Exchange): string | undefined {
  const { incoming, context, lines } = exchange
  const line = `${context.raw.method} ${plainTarget(originForm(context.raw.target))}`
  if (!isRequestLine(line)) return undefined
  const fields = requestFields(rules, incoming, context)
  let text = `${line} HTTP/1.1\r\n`
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const value = fields[i + 1] ?? ''
    if (!VALUE.test(value)) return undefined
    text += `${fields[i]}: ${value}\r\n`
  }
  return `${text}${lines}${framing(incoming, context.raw.method)}\r\n`
}

/** The line that says how long the content is, where the client's own fields do not. */
function framing(incoming: IncomingMessage, method: string): string {
  if (incoming.headers['content-length'] !== undefined) return ''
  if (hasContent(incoming)) return 'Transfer-Encoding: chunked\r\n'
  // RFC 9110 section 8.6: a method that means content says that there is none.
  return MEANS_CONTENT.has(method) ? 'Content-Length: 0\r\n' : ''
}
