import { randomUUID } from 'node:crypto'

import { ACCOUNT_ID } from '../../definition.ts'
import type { ScheduleSource } from '../../service/event-source.ts'

export interface Occasion {
  readonly source: ScheduleSource
  /** The schedule's or rule's. */
  readonly name: string
  readonly region: string
  /** Milliseconds since 1970. */
  readonly due: number
}

/** What a function is told when a schedule is due, as JSON: the source's own input, or the event that its service makes. */
export function scheduledEvent(occasion: Occasion): Uint8Array {
  const { input } = occasion.source
  const event = input === undefined ? madeEvent(occasion) : withContext(JSON.stringify(input), occasion)
  return Buffer.from(event)
}

/** Rules of EventBridge know neither a time zone nor a single time: those are EventBridge Scheduler's, whose event is another one. */
function isScheduler({ expression, timezone }: ScheduleSource): boolean {
  return timezone !== undefined || expression.startsWith('at(')
}

function madeEvent(occasion: Occasion): string {
  const scheduler = isScheduler(occasion.source)
  return JSON.stringify({
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: scheduler ? 'aws.scheduler' : 'aws.events',
    account: ACCOUNT_ID,
    time: timeOf(occasion),
    region: occasion.region,
    resources: [scheduler ? scheduleArn(occasion) : ruleArn(occasion)],
    detail: scheduler ? '{}' : {},
  })
}

function timeOf({ due }: Occasion): string {
  return `${new Date(due).toISOString().slice(0, 19)}Z`
}

function ruleArn({ name, region }: Occasion): string {
  return `arn:aws:events:${region}:${ACCOUNT_ID}:rule/${name}`
}

function scheduleArn({ name, region }: Occasion): string {
  return `arn:aws:scheduler:${region}:${ACCOUNT_ID}:schedule/default/${name}`
}

/** `<aws.scheduler.scheduled-time>` and its like, as EventBridge Scheduler puts them into an input. */
function withContext(input: string, occasion: Occasion): string {
  if (!input.includes('<aws.scheduler.')) return input
  return input
    .replaceAll('<aws.scheduler.scheduled-time>', timeOf(occasion))
    .replaceAll('<aws.scheduler.schedule-arn>', scheduleArn(occasion))
    .replaceAll('<aws.scheduler.execution-id>', randomUUID())
    .replaceAll('<aws.scheduler.attempt-number>', '1')
}
