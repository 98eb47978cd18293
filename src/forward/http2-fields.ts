import type { OutgoingHttpHeaders } from 'node:http2'

import { requestFields } from './fields.ts'
import type { ForwardExchange, ForwardTarget } from './forward.ts'
import type { Http2Pool } from './http2-pool.ts'
import { upstreamPath } from './upstream-path.ts'
import { JOINED_FIELDS, SINGLE_FIELDS } from './http2-single.ts'

/** As a ForwardTarget; its dispatcher is for an origin that turns out to speak HTTP/1.1 only. */
export interface Http2Target extends ForwardTarget {
  readonly pool: Http2Pool
  /** `http` or `https`. */
  readonly scheme: string
  /** `host:port`, when the client names none. */
  readonly authority: string
}

/** The head of a request as HTTP/2 has it: lower-case names, Host as `:authority` (RFC 9113 section 8.3.1). */
export function http2RequestFields(target: Http2Target, exchange: ForwardExchange): OutgoingHttpHeaders {
  const { raw } = exchange.context
  const head: Record<string, string | string[]> = {
    ':method': raw.method,
    ':scheme': target.scheme,
    ':authority': target.authority,
    ':path': upstreamPath(target, raw.target),
  }
  const fields = requestFields(target, exchange.incoming, exchange.context)
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase()
    const value = fields[i + 1] ?? ''
    if (name === 'host') head[':authority'] = value
    else if (!name.startsWith(':')) add(head, name, value)
  }
  return head
}

function add(head: Record<string, string | string[]>, name: string, value: string): void {
  const known = head[name]
  if (known === undefined) head[name] = value
  else if (JOINED_FIELDS.has(name)) head[name] = `${String(known)}, ${value}`
  else if (Array.isArray(known)) known.push(value)
  else if (!SINGLE_FIELDS.has(name)) head[name] = [known, value]
}

/** `:status` and the like are no fields. */
export function withoutPseudo(raw: readonly string[]): string[] {
  const fields: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (!name.startsWith(':')) fields.push(name, raw[i + 1] ?? '')
  }
  return fields
}
