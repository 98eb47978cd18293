import type { IncomingMessage } from 'node:http'

import { authorityOf, originForm } from '../forward/request-line.ts'
import type { RawRequest } from '../core/fetcher.ts'

/** Why a request is not served at all. */
export interface Refusal {
  readonly status: number
  readonly message: string
}

/** More than any client sends; Node would silently drop the rest of a longer list. */
const FIELDS_MAX = 1_000

/** 999 TB. Beyond 2^53 a number is no longer exact, and ours would not be the upstream's. */
const LENGTH_DIGITS_MAX = 15

/**
 * What llhttp lets pass and RFC 9110 and 9112 do not: each could make us and an upstream read one request as two,
 * or route it by one host and serve it by another.
 */
export function checkHead(incoming: IncomingMessage): Refusal | undefined {
  const { httpVersion } = incoming
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return refuse(505, `HTTP/${httpVersion} is not spoken here`)
  return checkRequest(incoming)
}

/** The part that holds for every version. */
export function checkRequest(incoming: IncomingMessage): Refusal | undefined {
  const { url = '' } = incoming
  const first = url.charCodeAt(0)
  if (first !== SLASH) {
    const refusal = checkTargetForm(incoming.method, url)
    if (refusal !== undefined) return refusal
  }
  if (url.includes('#')) return refuse(400, 'a request target has no fragment')
  return checkHost(incoming) ?? checkFraming(incoming)
}

function refuse(status: number, message: string): Refusal {
  return { status, message }
}

function checkTargetForm(method: string | undefined, target: string): Refusal | undefined {
  if (target === '*') return method === 'OPTIONS' ? undefined : refuse(400, 'only OPTIONS asks for *')
  const authority = authorityOf(target)
  if (authority === undefined) return refuse(400, 'the request target is no path and no http URL')
  return isAuthority(authority) && authority !== ''
    ? undefined
    : refuse(400, 'the request target names no valid host')
}

/** The host that was right last time: nearly always the next one's as well. */
let lastHost = ''

function checkHost(incoming: IncomingMessage): Refusal | undefined {
  const { host } = incoming.headers
  if (host === undefined) {
    return incoming.httpVersion === '1.0' ? undefined : refuse(400, 'HTTP/1.1 needs a Host field')
  }
  if (host === lastHost) return undefined
  if (!isAuthority(host)) return refuse(400, 'the Host field is no host')
  lastHost = host
  return undefined
}

const AUTHORITY = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\da-fA-F:.]+\])(?::(\d{0,5}))?$/

/** `localhost:8069`, `[::1]`, `a.example`; without user information. */
function isAuthority(text: string): boolean {
  const match = AUTHORITY.exec(text)
  return match !== null && Number(match[1] ?? 0) <= 65_535
}

function checkFraming(incoming: IncomingMessage): Refusal | undefined {
  const { rawHeaders } = incoming
  if (rawHeaders.length > FIELDS_MAX * 2) return refuse(431, `more than ${FIELDS_MAX} fields`)
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') hosts++
  }
  if (hosts > 1) return refuse(400, 'two Host fields')
  return checkContent(incoming)
}

const CONTINUE = /^100-continue$/i

function checkContent({ headers, httpVersion }: IncomingMessage): Refusal | undefined {
  const { expect } = headers
  if (expect !== undefined && httpVersion !== '1.0' && !CONTINUE.test(expect))
    return refuse(417, 'the only expectation met here is 100-continue')
  const length = headers['content-length']
  if (length !== undefined && length.length > LENGTH_DIGITS_MAX) return refuse(413, 'the content is too long')
  const coding = headers['transfer-encoding']
  return coding === undefined ? undefined : checkCoding(coding, httpVersion)
}

function checkCoding(coding: string, httpVersion: string): Refusal | undefined {
  if (httpVersion === '1.0') return refuse(400, 'HTTP/1.0 knows no Transfer-Encoding')
  if (coding.toLowerCase() === 'chunked') return undefined
  return refuse(501, 'the only Transfer-Encoding spoken here is chunked')
}

/**
 * `GET http://h/x` asks host h for /x, whatever its Host field says (RFC 9112 section 3.2.2).
 * The target stays as sent in the raw request; everything that reads `incoming.url` sees the path.
 */
export function settleAbsoluteForm(incoming: IncomingMessage): RawRequest {
  const { method = '', url = '', rawHeaders } = incoming
  const authority = authorityOf(url) ?? ''
  const fields = [...rawHeaders]
  const at = fields.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'host')
  if (at === -1) fields.push('Host', authority)
  else fields[at + 1] = authority
  incoming.headers.host = authority
  incoming.url = originForm(url)
  return { method, target: url, fields }
}

const SLASH = 47
