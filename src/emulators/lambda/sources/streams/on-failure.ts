import { randomUUID } from 'node:crypto'

import { putObject } from '../../async/object-store.ts'
import { failureRecord, type Failure } from './failure-record.ts'
import type { StreamContext } from './stream-context.ts'

export type Told = Pick<StreamContext, 'targets' | 'environment' | 'uuid'>

/**
 * Tells a destination of records that are given up. A bucket is given the event too, as one object each.
 * @throws FlexiError FLEXI_NO_INPUT when it is not there.
 */
export async function tellFailure(
  arn: string,
  failure: Failure,
  { targets, environment, uuid }: Told,
): Promise<void> {
  const bucket = /^arn:[^:]+:s3:::(.+)$/.exec(arn)?.[1]
  const body = failureRecord(failure, { withEvent: bucket !== undefined })
  if (bucket === undefined) await targets.send(arn, { body })
  else await putObject({ bucket, key: objectKey(failure, uuid), body, environment })
}

/** `aws/lambda/UUID/SHARD/2026/11/21/2026-11-21T10.00.00-UUID` */
function objectKey({ shard, now }: Failure, uuid: string): string {
  const [date = '', time = ''] = new Date(now).toISOString().slice(0, 19).split('T')
  const day = date.replaceAll('-', '/')
  return `aws/lambda/${uuid}/${shard}/${day}/${date}T${time.replaceAll(':', '.')}-${randomUUID()}`
}
