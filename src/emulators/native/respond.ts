import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'

import type { RequestContext } from '../../core/fetcher.ts'
import type { CallResult } from './wire.ts'

export interface Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

/** Bodies up to here are copied once more, into one write with the head. */
export const JOINED_BYTES_MAX = 16 * 1024
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
// eslint-disable-next-line no-control-regex
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/

/** What the library answered, as HTTP; or what is wrong with it, in words, when it cannot be sent. */
export function writeResult(
  { incoming, outgoing, context }: Exchange,
  result: CallResult,
): string | undefined {
  const { preAlloc, alloc, bytes, bodyAt, bodyEnd } = result
  const status = result.status === 0 ? 200 : result.status
  const problem = findProblem(status, result)
  // FlexiLib's log counts the library's body, also where none is sent.
  context.note({ preAlloc, alloc, bytes: problem === undefined ? bodyEnd - bodyAt : undefined })
  if (problem !== undefined) return problem
  // The client has left: there is nobody to answer.
  if (outgoing.destroyed) return undefined
  const fields = responseFields(status, result, incoming.method === 'HEAD')
  outgoing.writeHead(status, reasonOf(status, result), fields)
  // Node joins text, and not bytes, with the head: one write and one packet. Latin-1 is the bytes themselves.
  if (bodyEnd - bodyAt <= JOINED_BYTES_MAX) outgoing.end(bytes.toString('latin1', bodyAt, bodyEnd), 'latin1')
  else outgoing.end(bytes.subarray(bodyAt, bodyEnd))
  return undefined
}

/** FlexiLib's answer to everything that fails on the server's side; it has no content-type. */
export function writeServerError(outgoing: ServerResponse): void {
  if (outgoing.headersSent || outgoing.destroyed) return
  const body = 'Internal Server Error\n'
  outgoing.writeHead(500, ['content-length', String(body.length)])
  outgoing.end(body)
}

function reasonOf(status: number, { reason }: CallResult): string {
  if (reason !== '') return reason
  // RFC 2324's own case, which FlexiLib sends and Node does not.
  return status === 418 ? "I'm a teapot" : (STATUS_CODES[status] ?? '')
}

function findProblem(status: number, { reason, fields }: CallResult): string | undefined {
  if (status < 200 || status > 999) return `status ${status} is not a final HTTP status (200 to 999)`
  if (BAD_VALUE.test(reason)) return `the reason ${JSON.stringify(reason)} holds a control character`
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (name === '')
      return `header ${index / 2 + 1} has an empty name (its value is ${JSON.stringify(value)})`
    if (!FIELD_NAME.test(name)) return `${JSON.stringify(name)} is not a header name`
    if (BAD_VALUE.test(value)) return `header ${name} has a control character in ${JSON.stringify(value)}`
  }
  return undefined
}

/**
 * `content-length`, the library's headers in its order, and `content-type: text/plain` when it set none.
 * Framing is ours: a length or encoding that the library states is dropped, but for the length it gives an answer to HEAD.
 */
function responseFields(status: number, { fields, bodyAt, bodyEnd }: CallResult, head: boolean): string[] {
  const { kept, typed, stated } = readFields(fields)
  if (!typed) kept.push('content-type', 'text/plain')
  // RFC 9110 8.6: none on 204; on 304 it would be that of the answer which is not sent.
  if (status === 204 || status === 304) return kept
  const counted = String(bodyEnd - bodyAt)
  const length = head && bodyAt === bodyEnd && /^\d+$/.test(stated) ? stated : counted
  return ['content-length', length, ...kept]
}

interface OwnFields {
  readonly kept: string[]
  /** Has a content-type, in any case and place. */
  readonly typed: boolean
  /** The content-length it gives, or nothing. */
  readonly stated: string
}

function readFields(fields: readonly string[]): OwnFields {
  const kept: string[] = []
  let typed = false
  let stated = ''
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    const special = specialName(name)
    typed ||= special === 'content-type'
    if (special === 'content-length') stated = value
    else if (special !== 'transfer-encoding') kept.push(name, value)
  }
  return { kept, typed, stated }
}

/** The names that mean something here, in lower case; lengths are compared first because this runs for every field. */
function specialName(name: string): string | undefined {
  const { length } = name
  return length === 12 || length === 14 || length === 17 ? name.toLowerCase() : undefined
}
