import { isInput, objects, texts, type Input } from '../json-input.ts'
import { busEvent } from './bus-event.ts'
import type { Buses } from './buses.ts'
import { validation } from './events-errors.ts'
import { optional, required } from './events-input.ts'

const ENTRIES_MAX = 10
/** All entries together, since 2026. */
const REQUEST_BYTES_MAX = 1_048_576
const TIME_BYTES = 14

interface Refusal {
  readonly ErrorCode: string
  readonly ErrorMessage: string
}

/** Every entry by itself: one that is refused keeps none of the others back. */
export function putEvents(buses: Buses, input: Input, now: number): Input {
  const entries = objects(input, 'Entries')
  if (entries.length === 0 || entries.length > ENTRIES_MAX) {
    const constraint =
      entries.length === 0 ? 'greater than or equal to 1' : `less than or equal to ${ENTRIES_MAX}`
    throw validation(
      `1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length ${constraint}`,
    )
  }
  if (entries.reduce((sum, entry) => sum + entryBytes(entry), 0) > REQUEST_BYTES_MAX) {
    throw validation('Total size of the entries in the request is over the limit.')
  }
  const Entries = entries.map((entry) => putEvent(buses, entry, now))
  return { FailedEntryCount: Entries.filter((entry) => 'ErrorCode' in entry).length, Entries }
}

function putEvent(buses: Buses, entry: Input, now: number): Refusal | { readonly EventId: string } {
  const absent = REQUIRED.find((name) => (optional(entry, name) ?? '') === '')
  if (absent !== undefined) return missing(absent)
  const detail = parsedDetail(required(entry, 'Detail'))
  if (detail === undefined) return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' }
  const event = busEvent(
    {
      source: required(entry, 'Source'),
      detailType: required(entry, 'DetailType'),
      detail,
      resources: texts(entry, 'Resources'),
      at: timeOf(entry['Time']) ?? now,
    },
    buses.region,
  )
  buses.put(optional(entry, 'EventBusName') ?? 'default', event)
  return { EventId: event.id }
}

const REQUIRED = ['Source', 'DetailType', 'Detail'] as const

/** As EventBridge counts them. */
function entryBytes(entry: Input): number {
  const parts = [...REQUIRED.map((name) => optional(entry, name) ?? ''), ...texts(entry, 'Resources')]
  const bytes = parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0)
  return entry['Time'] === undefined ? bytes : bytes + TIME_BYTES
}

function missing(name: string): Refusal {
  return {
    ErrorCode: 'InvalidArgument',
    ErrorMessage: `Parameter ${name} is not valid. Reason: ${name} is a required argument.`,
  }
}

function parsedDetail(text: string): Input | undefined {
  try {
    const detail: unknown = JSON.parse(text)
    return isInput(detail) ? detail : undefined
  } catch {
    return undefined
  }
}

/** Seconds since the epoch, or what Date reads; undefined for what is no time that there can be. */
function timeOf(value: unknown): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined
  const ms = new Date(typeof value === 'number' ? value * 1000 : value).getTime()
  return Number.isNaN(ms) ? undefined : ms
}
