import { randomBytes } from 'node:crypto'

import type { RequestContext } from '../../core/fetcher.ts'
import { NameSet } from '../../forward/name-set.ts'
import { REQUEST_CF, requestCfText } from './request-cf.ts'

/** Fields that tell workerd and miniflare what to believe; a client's own would be taken at their word. */
export const TRUSTED_FIELDS: readonly string[] = [
  'mf-cf-blob',
  'mf-custom-fetch-service',
  'mf-custom-node-service',
  'mf-disable-pretty-error',
  'mf-experimental-error-stack',
  'mf-op',
  'mf-op-key',
  'mf-op-original-url',
  'mf-op-result-type',
  'mf-op-secret',
  'mf-op-stringified-size',
  'mf-op-sync',
  'mf-op-target',
  'mf-original-hostname',
  'mf-original-url',
  'mf-proxy-shared-secret',
  'mf-route-override',
  'mf-sec-fetch-mode',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-ew-via',
  'cf-ipcountry',
  'cf-pseudo-ipv4',
  'cf-ray',
  'cf-visitor',
  'cf-worker',
]

/**
 * What Cloudflare's edge adds to a request before a worker sees it (Cloudflare HTTP headers reference), and `request.cf`.
 * name, value, name, value …; they win over a client's fields of the same names (`EDGE_NAMES`).
 */
export function edgeFields(context: Client, acceptEncoding: string | undefined): readonly string[] {
  return [...constantFields(context, acceptEncoding), 'CF-Ray', rayId()]
}

function constantFields(
  { clientAddress, protocol }: Client,
  acceptEncoding: string | undefined,
): readonly string[] {
  return [
    'MF-CF-Blob',
    requestCfText(acceptEncoding),
    'CF-Connecting-IP',
    clientAddress,
    'CF-IPCountry',
    REQUEST_CF.country,
    'CF-Visitor',
    protocol === 'https' ? '{"scheme":"https"}' : '{"scheme":"http"}',
    'X-Forwarded-Proto',
    protocol,
    'X-Real-IP',
    clientAddress,
  ]
}

type Client = Pick<RequestContext, 'clientAddress' | 'protocol'>

/** Fields of a client that never reach a worker: what is trusted, and what is written anew. */
export const EDGE_NAMES = new NameSet(...TRUSTED_FIELDS, 'x-forwarded-proto', 'x-real-ip')

/** The lines that were written last: mostly the next request's as well, but for its ray. */
let last = { address: '', protocol: '', acceptEncoding: undefined as string | undefined, text: '' }

/** `edgeFields` as lines of a head, each with its CRLF. */
export function edgeLines(context: Client, acceptEncoding: string | undefined): string {
  const { clientAddress: address, protocol } = context
  if (last.address !== address || last.protocol !== protocol || last.acceptEncoding !== acceptEncoding) {
    const fields = constantFields(context, acceptEncoding)
    let text = ''
    for (let i = 0; i + 1 < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
    last = { address, protocol, acceptEncoding, text }
  }
  return `${last.text}CF-Ray: ${rayId()}\r\n`
}

/** `8a1b2c3d4e5f6071-AMS`. Sixteen digits are drawn from a pool, because a call to the generator per request would show. */
function rayId(): string {
  if (at + RAY_BYTES > pool.length) {
    pool = randomBytes(pool.length)
    at = 0
  }
  at += RAY_BYTES
  return `${pool.toString('hex', at - RAY_BYTES, at)}-${REQUEST_CF.colo}`
}

const RAY_BYTES = 8
let pool = randomBytes(RAY_BYTES * 512)
let at = 0
