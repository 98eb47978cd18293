import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'

import type { RequestContext } from '../../core/fetcher.ts'
import type { RequestKey } from '../../core/upstream.ts'
import { requestKey } from '../../forward/request-key.ts'
import { fieldValue } from '../../forward/request-line.ts'

/** Longer values are remembered by their hash: whoever asks does not choose how much memory it costs. */
const LENGTH_MAX = 64

/**
 * What a request is counted under. One without the field or cookie is told apart by its address, so that leaving it out is
 * neither a way around the limit nor a way to use up that of others.
 */
export function rateKey(key: RequestKey, context: RequestContext): string {
  const value =
    key.kind === 'address'
      ? client(context.clientAddress)
      : requestKey(key, context, (name) => fieldValue(context.raw.fields, name))
  if (value === undefined) return `address ${client(context.clientAddress)}`
  if (value.length <= LENGTH_MAX) return value
  return createHash('sha256').update(value, 'latin1').digest('base64')
}

/** One client has a whole /64 of IPv6 addresses, and would have as many limits. */
export function client(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? 0 : tail.split(':').length
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after)
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...(tail?.split(':') ?? [])]
  return `${all.slice(0, 4).join(':')}::/64`
}
