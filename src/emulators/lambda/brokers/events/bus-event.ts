import { randomUUID } from 'node:crypto'

import { ACCOUNT_ID } from '../../definition.ts'

/** An event of a bus. Source: EventBridge user guide, events. */
export interface BusEvent {
  readonly version: '0'
  readonly id: string
  readonly 'detail-type': string
  readonly source: string
  readonly account: string
  /** Without fractions of a second. */
  readonly time: string
  readonly region: string
  readonly resources: readonly string[]
  readonly detail: unknown
}

export interface NewEvent {
  readonly source: string
  readonly detailType: string
  readonly detail: unknown
  readonly resources?: readonly string[] | undefined
  /** Milliseconds since the epoch. */
  readonly at: number
}

export function busEvent(
  { source, detailType, detail, resources = [], at }: NewEvent,
  region: string,
): BusEvent {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': detailType,
    source,
    account: ACCOUNT_ID,
    time: `${new Date(at).toISOString().slice(0, 19)}Z`,
    region,
    resources,
    detail,
  }
}
