import type { AccessRecord } from '../core/events.ts'
import { clock, duration } from './duration.ts'
import { nameColour, type Colour, type Paint } from './paint.ts'
import { printable } from './printable.ts'

/** `14:03:09 GET /hello?x=1 → 200 3.1 ms hello`: one line a request, for people. */
export function accessLine(record: AccessRecord, time: Date, paint: Paint): string {
  const status = paint[statusColour(record.status)](String(record.status))
  const parts = [
    paint.dim(clock(time)),
    paint.bold(printable(record.method)),
    printable(record.target),
    paint.dim('→'),
    status,
    paint.dim(duration(record.ttlbMs)),
  ]
  const answered = answeredBy(record, paint)
  if (answered !== undefined) parts.push(answered)
  // Requests of an API differ in this alone.
  const { operation } = record.notes
  if (typeof operation === 'string') parts.push(paint.dim(printable(operation)))
  if (record.aborted) parts.push(paint.yellow('cut off'))
  return parts.join(' ')
}

export function statusColour(status: number): Colour {
  if (status >= 500) return 'red'
  if (status >= 400) return 'yellow'
  if (status >= 300) return 'cyan'
  return 'green'
}

function answeredBy(record: AccessRecord, paint: Paint): string | undefined {
  const name = record.notes['function']
  if (typeof name === 'string') return paint[nameColour(name)](printable(name))
  return record.route === undefined ? undefined : paint.dim(printable(record.route))
}
