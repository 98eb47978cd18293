import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'

import type { RequestContext } from '../../core/fetcher.ts'
import type { RequestKey } from '../../core/upstream.ts'
import { fieldValue } from '../../forward/request-line.ts'
import { pathOf } from '../route-table.ts'

/** Longer values are remembered by their hash: whoever asks does not choose how much memory it costs. */
const LENGTH_MAX = 64

/**
 * What a request is counted under. One without the field or cookie is told apart by its address, so that leaving it out is
 * neither a way around the limit nor a way to use up that of others.
 */
export function requestKey(key: RequestKey, context: RequestContext): string {
  const value = valueOf(key, context)
  if (value === undefined) return `address ${client(context.clientAddress)}`
  if (value.length <= LENGTH_MAX) return value
  return createHash('sha256').update(value, 'latin1').digest('base64')
}

function valueOf(key: RequestKey, { raw, clientAddress }: RequestContext): string | undefined {
  switch (key.kind) {
    case 'address':
      return client(clientAddress)
    case 'path':
      return pathOf(raw.target)
    case 'field':
      return fieldValue(raw.fields, key.name)
    case 'cookie':
      return cookie(fieldValue(raw.fields, 'cookie') ?? '', key.name)
  }
}

function cookie(header: string, name: string): string | undefined {
  const pair = header.split(';').find((part) => part.trimStart().startsWith(`${name}=`))
  return pair?.slice(pair.indexOf('=') + 1).trim()
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
