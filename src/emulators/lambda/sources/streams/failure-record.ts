import type { Invoked } from '../../service/service.ts'
import type { StreamAccess, StreamRecord } from './stream-access.ts'

export interface Failure {
  readonly condition: 'RetryAttemptsExhausted' | 'RecordAgeExceeded'
  readonly records: readonly StreamRecord[]
  readonly shard: string
  readonly access: Pick<StreamAccess, 'arn' | 'batchInfo'>
  readonly functionArn: string
  /** Of the attempts. */
  readonly requestId: string
  readonly invokeCount: number
  /** Of the last attempt; undefined when there was none. */
  readonly invoked: Invoked | undefined
  /** Milliseconds since 1970. */
  readonly now: number
  /** What the function was given, JSON. */
  readonly event: string
}

/** What the destination of a stream's failures is told: where the records are, not what is in them. Source: Lambda guide. */
export function failureRecord(failure: Failure, { withEvent }: { readonly withEvent: boolean }): string {
  const { condition, records, shard, access, invoked } = failure
  const [first] = records
  const last = records.at(-1)
  return JSON.stringify({
    requestContext: {
      requestId: failure.requestId,
      functionArn: failure.functionArn,
      condition,
      approximateInvokeCount: failure.invokeCount,
    },
    ...(invoked === undefined ? {} : { responseContext: responseContext(invoked) }),
    version: '1.0',
    timestamp: new Date(failure.now).toISOString(),
    [access.batchInfo]: {
      shardId: shard,
      startSequenceNumber: first?.sequence,
      endSequenceNumber: last?.sequence,
      approximateArrivalOfFirstRecord: isoTime(first),
      approximateArrivalOfLastRecord: isoTime(last),
      batchSize: records.length,
      streamArn: access.arn,
    },
    ...(withEvent ? { payload: failure.event } : {}),
  })
}

function responseContext({ executedVersion, functionError }: Invoked): object {
  return {
    statusCode: 200,
    executedVersion,
    ...(functionError === undefined ? {} : { functionError }),
  }
}

function isoTime(record: StreamRecord | undefined): string | undefined {
  return record === undefined ? undefined : new Date(record.arrival).toISOString()
}
