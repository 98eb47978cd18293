import { isRecord } from '../extensions/api-request.ts'
import type { TelemetryEvent } from './telemetry.ts'

/** Events that the Logs API never knew. */
const UNKNOWN = new Set([
  'platform.initStart',
  'platform.initRuntimeDone',
  'platform.initReport',
  'platform.telemetrySubscription',
])

/** An event in the words of the Logs API, which the Telemetry API came after. Source: Lambda guide, Logs API. */
export function asLogsEvent(event: TelemetryEvent, schemaVersion: string): readonly TelemetryEvent[] {
  const { type, time, record } = event
  if (!isRecord(record)) return [event]
  // Only the later API hands on as JSON what was logged as JSON.
  if (!type.startsWith('platform.')) return [{ time, type, record: `${JSON.stringify(record)}\n` }]
  if (UNKNOWN.has(type)) return []
  const { requestId, status, metrics, version } = record
  switch (type) {
    case 'platform.start':
      return [{ time, type, record: { requestId, version } }]
    case 'platform.runtimeDone':
      return schemaVersion === '2020-08-15' ? [] : [{ time, type, record: { requestId, status } }]
    case 'platform.report':
      return [
        { time, type: 'platform.end', record: { requestId } },
        { time, type, record: { requestId, metrics } },
      ]
    default:
      return [event]
  }
}
