import type { AccessRecord } from '../../src/core/events.ts'

/** A stream that remembers each write by itself. */
export class Collected {
  readonly writes: string[] = []
  readonly isTTY: boolean

  constructor(isTTY = false) {
    this.isTTY = isTTY
  }

  write(text: string): void {
    this.writes.push(text)
  }

  get lines(): string[] {
    return this.writes.join('').split('\n').slice(0, -1)
  }
}

export function accessRecord(changes: Partial<AccessRecord> = {}): AccessRecord {
  return {
    id: '0f6c1d7e-0000-4000-8000-000000000000',
    clientAddress: '127.0.0.1',
    clientPort: 50_000,
    method: 'GET',
    target: '/hello?x=1',
    httpVersion: '1.1',
    status: 200,
    bytes: 12,
    ttfbMs: 2.9,
    ttlbMs: 3.14,
    route: '/',
    aborted: false,
    notes: { function: 'hello' },
    ...changes,
  }
}
