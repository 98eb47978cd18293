import { ACCOUNT_ID } from '../../definition.ts'
import type { AwsClient } from '../aws-client.ts'
import { memberOf } from '../batch-failures.ts'
import { list, optionalText, text, timeMs } from './answer.ts'
import type { Position, Shard, StreamAccess, StreamRecord } from './stream-access.ts'

/** A Kinesis data stream, by its name. Source: Kinesis Data Streams API; Lambda guide, Kinesis event. */
export function kinesisStream(client: AwsClient, stream: string, region: string): StreamAccess {
  const name = stream.split('/').at(-1) ?? stream
  let arn = stream.startsWith('arn:') ? stream : `arn:aws:kinesis:${region}:${ACCOUNT_ID}:stream/${name}`
  return {
    get arn() {
      return arn
    },
    batchInfo: 'KinesisBatchInfo',
    textField: 'data',
    async shards(signal) {
      const summary = await client.call('DescribeStreamSummary', { StreamName: name }, signal)
      // An endpoint of this machine has an account of its own.
      arn = optionalText(memberOf(summary, 'StreamDescriptionSummary'), 'StreamARN') ?? arn
      const shards: Shard[] = []
      let next: string | undefined
      do {
        const answer = await client.call(
          'ListShards',
          next === undefined ? { StreamName: name } : { NextToken: next },
          signal,
        )
        shards.push(...list(answer, 'Shards').map(shard))
        next = optionalText(answer, 'NextToken')
      } while (next !== undefined)
      return shards
    },
    since: (timestamp) => ({ kind: 'AT_TIMESTAMP', timestamp }),
    async iterator(shardId, position, signal) {
      const input = { StreamName: name, ShardId: shardId, ...positionFields(position) }
      return text(await client.call('GetShardIterator', input, signal), 'ShardIterator')
    },
    async read(shardId, iterator, { max, signal }) {
      const answer = await client.call('GetRecords', { ShardIterator: iterator, Limit: max }, signal)
      return {
        records: list(answer, 'Records').map((given) => record(given, { arn, region, shardId })),
        next: optionalText(answer, 'NextShardIterator'),
      }
    },
  }
}

export function shard(given: unknown): Shard {
  const parents = [optionalText(given, 'ParentShardId'), optionalText(given, 'AdjacentParentShardId')]
  const range = memberOf(given, 'SequenceNumberRange')
  return {
    id: text(given, 'ShardId'),
    parents: parents.filter((parent) => parent !== undefined),
    closed: memberOf(range, 'EndingSequenceNumber') !== undefined,
  }
}

function positionFields(position: Position): object {
  switch (position.kind) {
    case 'AFTER_SEQUENCE_NUMBER':
      return { ShardIteratorType: position.kind, StartingSequenceNumber: position.sequence }
    case 'AT_TIMESTAMP':
      return { ShardIteratorType: position.kind, Timestamp: position.timestamp }
    case 'LATEST':
    case 'TRIM_HORIZON':
      return { ShardIteratorType: position.kind }
  }
}

function record(
  given: unknown,
  { arn, region, shardId }: { readonly arn: string; readonly region: string; readonly shardId: string },
): StreamRecord {
  const sequence = text(given, 'SequenceNumber')
  const key = text(given, 'PartitionKey')
  const arrival = timeMs(given, 'ApproximateArrivalTimestamp')
  const data = text(given, 'Data')
  const kinesis = {
    kinesisSchemaVersion: '1.0',
    partitionKey: key,
    sequenceNumber: sequence,
    data,
    approximateArrivalTimestamp: arrival / 1000,
  }
  return {
    sequence,
    key,
    arrival,
    content: { ...kinesis, data: Buffer.from(data, 'base64').toString() },
    json: JSON.stringify({
      kinesis,
      eventSource: 'aws:kinesis',
      eventVersion: '1.0',
      eventID: `${shardId}:${sequence}`,
      eventName: 'aws:kinesis:record',
      invokeIdentityArn: `arn:aws:iam::${ACCOUNT_ID}:role/lambda-role`,
      awsRegion: region,
      eventSourceARN: arn,
    }),
  }
}
