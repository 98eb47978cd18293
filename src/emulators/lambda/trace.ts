import type { RequestContext } from '../../core/fetcher.ts'

let second = 0
let secondHex = ''

/** X-Ray's header for a request: the client's own, or a new root made of the request's time and id. */
export function traceOf(context: Pick<RequestContext, 'id' | 'receivedAt' | 'raw'>): string {
  const { fields } = context.raw
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    if (name.length !== 15 || name.toLowerCase() !== 'x-amzn-trace-id') continue
    const value = fields[index + 1] ?? ''
    if (/^[\x20-\x7e]+$/.test(value)) return value
  }
  return newTrace(context.id, context.receivedAt)
}

/** `Root=1-<8 hex of the second>-<24 hex of the id>` */
export function newTrace(id: string, epochMs: number): string {
  const now = Math.floor(epochMs / 1000)
  if (now !== second) {
    second = now
    secondHex = now.toString(16).padStart(8, '0')
  }
  return `Root=1-${secondHex}-${id.slice(0, 8)}${id.slice(9, 13)}${id.slice(24, 36)}`
}
