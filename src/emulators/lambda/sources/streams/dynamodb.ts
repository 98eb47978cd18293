import { AwsError, type AwsClient } from '../aws-client.ts'
import { memberOf } from '../batch-failures.ts'
import { list, optionalText, text, timeMs } from './answer.ts'
import { shard } from './kinesis.ts'
import type { Position, Shard, StreamAccess, StreamRecord } from './stream-access.ts'

/** The changes of a table, by its name or by its stream's ARN. Source: DynamoDB Streams API; Lambda guide, DynamoDB event. */
export function dynamoStream(client: AwsClient, stream: string, region: string): StreamAccess {
  let arn = stream
  const table = tableOf(stream)
  return {
    get arn() {
      return arn
    },
    batchInfo: 'DDBStreamBatchInfo',
    textField: undefined,
    async shards(signal) {
      arn = await streamArn(client, { stream, table }, signal)
      const shards: Shard[] = []
      let last: string | undefined
      do {
        const input =
          last === undefined ? { StreamArn: arn } : { StreamArn: arn, ExclusiveStartShardId: last }
        const description = memberOf(await client.call('DescribeStream', input, signal), 'StreamDescription')
        shards.push(...list(description, 'Shards').map(shard))
        last = optionalText(description, 'LastEvaluatedShardId')
      } while (last !== undefined)
      return shards
    },
    since: (timestamp) => ({ kind: 'AT_TIMESTAMP', timestamp }),
    async iterator(shardId, position, signal) {
      const input = { StreamArn: arn, ShardId: shardId, ...positionFields(position) }
      return text(await client.call('GetShardIterator', input, signal), 'ShardIterator')
    },
    async read(_shardId, iterator, { max, signal }) {
      const limit = Math.min(max, REQUEST_RECORDS_MAX)
      const answer = await client.call('GetRecords', { ShardIterator: iterator, Limit: limit }, signal)
      return {
        records: list(answer, 'Records').map((given) => record(given, { arn, region })),
        next: optionalText(answer, 'NextShardIterator'),
      }
    },
  }
}

const REQUEST_RECORDS_MAX = 1000

/** `arn:aws:dynamodb:…:table/people/stream/…` → people */
function tableOf(stream: string): string {
  return stream.startsWith('arn:') ? (stream.split('/')[1] ?? stream) : stream
}

/** A table has one stream at a time, whose label nobody knows ahead: that of a template is made up. */
async function streamArn(
  client: AwsClient,
  { stream, table }: { readonly stream: string; readonly table: string },
  signal: AbortSignal,
): Promise<string> {
  const arns = list(await client.call('ListStreams', { TableName: table }, signal), 'Streams').map((one) =>
    text(one, 'StreamArn'),
  )
  if (arns.includes(stream)) return stream
  const newest = arns.toSorted().at(-1)
  if (newest !== undefined) return newest
  throw new AwsError('ResourceNotFoundException', `the table ${table} is not there, or has no stream`)
}

/** It knows no times to start from: it is read from its beginning, and its reader leaves out what is older. */
function positionFields(position: Position): object {
  switch (position.kind) {
    case 'AFTER_SEQUENCE_NUMBER':
      return { ShardIteratorType: position.kind, SequenceNumber: position.sequence }
    case 'LATEST':
      return { ShardIteratorType: position.kind }
    case 'AT_TIMESTAMP':
    case 'TRIM_HORIZON':
      return { ShardIteratorType: 'TRIM_HORIZON' }
  }
}

function record(
  given: unknown,
  { arn, region }: { readonly arn: string; readonly region: string },
): StreamRecord {
  const change = memberOf(given, 'dynamodb')
  const event = {
    eventID: memberOf(given, 'eventID'),
    eventName: memberOf(given, 'eventName'),
    eventVersion: memberOf(given, 'eventVersion') ?? '1.1',
    eventSource: 'aws:dynamodb',
    awsRegion: memberOf(given, 'awsRegion') ?? region,
    ...userIdentity(memberOf(given, 'userIdentity')),
    dynamodb: change,
    eventSourceARN: arn,
  }
  return {
    sequence: text(change, 'SequenceNumber'),
    key: JSON.stringify(memberOf(change, 'Keys') ?? {}),
    arrival: timeMs(change, 'ApproximateCreationDateTime'),
    content: event,
    json: JSON.stringify(event),
  }
}

/** Tells an expired item; the API writes its fields in capitals, the event does not. */
function userIdentity(identity: unknown): object {
  if (identity === undefined || identity === null) return {}
  const type = memberOf(identity, 'Type') ?? memberOf(identity, 'type')
  const principalId = memberOf(identity, 'PrincipalId') ?? memberOf(identity, 'principalId')
  return { userIdentity: { type, principalId } }
}
