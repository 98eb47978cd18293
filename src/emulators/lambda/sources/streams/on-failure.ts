import { datedKey, putObject } from '../../async/object-store.ts'
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
  else {
    const key = datedKey(`aws/lambda/${uuid}/${failure.shard}`, failure.now)
    await putObject({ bucket, key, body, environment })
  }
}
