import type { AccessRecord } from '../core/events.ts'

/**
 * FlexiLib's request line:
 *
 *     127.0.0.1:59940 - - "GET / HTTP/1.1" 200 ttfb 2000.420ms 11 ttlb 2000.568ms (pre-alloc: 1569, alloc: 4350)
 *
 * The byte count is the library's (`notes.bytes`, also of a HEAD it answered) when it tells one.
 */
export function flexilibLine(record: AccessRecord): string {
  const { notes } = record
  const bytes = numberOf(notes['bytes']) ?? record.bytes
  const memory = `(pre-alloc: ${numberOf(notes['preAlloc']) ?? 0}, alloc: ${numberOf(notes['alloc']) ?? 0})`
  const request = `"${record.method} ${record.target} HTTP/${record.httpVersion}"`
  const peer = `${bracketed(record.clientAddress)}:${record.clientPort}`
  return `${peer} - - ${request} ${record.status} ttfb ${milliseconds(record.ttfbMs)} ${bytes} ttlb ${milliseconds(record.ttlbMs)} ${memory}`
}

/** One JSON object: what log collectors read. The time is when the exchange ended. */
export function jsonLine(record: AccessRecord, time: Date = new Date()): string {
  return JSON.stringify({ time: time.toISOString(), ...record })
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

function milliseconds(duration: number): string {
  return `${duration.toFixed(3)}ms`
}
