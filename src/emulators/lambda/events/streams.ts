import { gzipSync } from 'node:zlib'

import { ACCOUNT, REGION, type JsonObject, type Sample } from './sample.ts'

const SEQUENCE = '49590338271490256608559692538361571095921575989136588898'

/** Events of what is read in batches. */
export const streamSamples: readonly Sample[] = [
  {
    source: 'aws:dynamodb',
    description: 'An item was inserted into a DynamoDB table (stream record)',
    make: dynamodb,
  },
  {
    source: 'aws:kinesis',
    description: 'One record of a Kinesis data stream',
    short: {
      data: { path: 'Records.0.kinesis.data', encode: (text) => Buffer.from(text).toString('base64') },
      partitionKey: { path: 'Records.0.kinesis.partitionKey' },
    },
    make: kinesis,
  },
  {
    source: 'aws:logs',
    description: 'A subscription filter of CloudWatch Logs',
    short: { message: { path: 'awslogs.data', encode: (message) => logData(message, Date.now()) } },
    make: (now) => ({ awslogs: { data: logData('ERROR the disk is full', now.getTime()) } }),
  },
]

function dynamodb(now: Date): JsonObject {
  return {
    Records: [
      {
        eventID: 'c81e728d9d4c2f636f067f89cc14862c',
        eventName: 'INSERT',
        eventVersion: '1.1',
        eventSource: 'aws:dynamodb',
        awsRegion: REGION,
        dynamodb: {
          ApproximateCreationDateTime: Math.floor(now.getTime() / 1000),
          Keys: { id: { N: '42' } },
          NewImage: { id: { N: '42' }, name: { S: 'Ada' } },
          SequenceNumber: '4421584500000000017450439091',
          SizeBytes: 26,
          StreamViewType: 'NEW_AND_OLD_IMAGES',
        },
        eventSourceARN: `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/people/stream/2026-01-01T00:00:00.000`,
      },
    ],
  }
}

function kinesis(now: Date): JsonObject {
  return {
    Records: [
      {
        kinesis: {
          kinesisSchemaVersion: '1.0',
          partitionKey: 'people',
          sequenceNumber: SEQUENCE,
          data: Buffer.from('{"order":42}').toString('base64'),
          approximateArrivalTimestamp: now.getTime() / 1000,
        },
        eventSource: 'aws:kinesis',
        eventVersion: '1.0',
        eventID: `shardId-000000000000:${SEQUENCE}`,
        eventName: 'aws:kinesis:record',
        invokeIdentityArn: `arn:aws:iam::${ACCOUNT}:role/lambda-role`,
        awsRegion: REGION,
        eventSourceARN: `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/people`,
      },
    ],
  }
}

/** What CloudWatch sends is compressed JSON in Base64. */
function logData(message: string, timestamp: number): string {
  const data = {
    messageType: 'DATA_MESSAGE',
    owner: ACCOUNT,
    logGroup: '/aws/lambda/people',
    logStream: '2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef',
    subscriptionFilters: ['errors'],
    logEvents: [{ id: '31953106606966983378809025079804211143289615424298221568', timestamp, message }],
  }
  return gzipSync(JSON.stringify(data)).toString('base64')
}
