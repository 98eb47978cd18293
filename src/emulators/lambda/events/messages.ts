import { createHash } from 'node:crypto'

import { ACCOUNT, follow, getPath, REGION, setPath, textAt, type JsonObject, type Sample } from './sample.ts'

const ID = '0b6a3f0e-7c52-4d0f-9b1d-2e8f4a6c1d35'

/** Events of what sends messages. */
export const messageSamples: readonly Sample[] = [
  {
    source: 'aws:sqs',
    description: 'One message of an SQS queue',
    short: {
      body: { path: 'Records.0.body' },
      queue: { path: 'Records.0.eventSourceARN', encode: queueArn },
    },
    make: sqs,
    settle(event) {
      const body = getPath(event, 'Records.0.body')
      if (typeof body === 'string')
        setPath(event, 'Records.0.md5OfBody', createHash('md5').update(body).digest('hex'))
    },
  },
  {
    source: 'aws:sns',
    description: 'One message of an SNS topic',
    short: { message: { path: 'Records.0.Sns.Message' }, subject: { path: 'Records.0.Sns.Subject' } },
    make: sns,
  },
  {
    source: 'aws:s3',
    description: 'An object was put into an S3 bucket',
    short: {
      bucket: { path: 'Records.0.s3.bucket.name' },
      key: {
        path: 'Records.0.s3.object.key',
        encode: (key) => encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/'),
      },
    },
    make: s3Put,
    settle: (event) =>
      follow(event, 'Records.0.s3.bucket.arn', {
        sampled: 'arn:aws:s3:::example-bucket',
        value: `arn:aws:s3:::${textAt(event, 'Records.0.s3.bucket.name')}`,
      }),
  },
  {
    source: 'aws:eventbridge',
    description: 'An event of an EventBridge bus',
    short: { type: { path: 'detail-type' } },
    make: (now) =>
      eventBridge(now, {
        source: 'com.example.shop',
        type: 'Order Placed',
        detail: { order: 42 },
        resources: [],
      }),
  },
  {
    source: 'aws:schedule',
    description: 'A schedule of EventBridge is due',
    make: (now) =>
      eventBridge(now, {
        source: 'aws.events',
        type: 'Scheduled Event',
        detail: {},
        resources: [`arn:aws:events:${REGION}:${ACCOUNT}:rule/nightly`],
      }),
  },
  {
    source: 'aws:cognito',
    description: 'Somebody signs up in a Cognito user pool (PreSignUp)',
    short: { email: { path: 'request.userAttributes.email' } },
    make: cognitoPreSignUp,
  },
]

function queueArn(name: string): string {
  return name.startsWith('arn:') ? name : `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`
}

function sqs(now: Date): JsonObject {
  return {
    Records: [
      {
        messageId: ID,
        receiptHandle: 'AQEBreceipt/handle+of+this+message==',
        body: '{"order":42}',
        attributes: {
          ApproximateReceiveCount: '1',
          SentTimestamp: String(now.getTime()),
          SenderId: 'AIDAEXAMPLE',
          ApproximateFirstReceiveTimestamp: String(now.getTime()),
        },
        messageAttributes: {},
        md5OfBody: '',
        eventSource: 'aws:sqs',
        eventSourceARN: queueArn('orders'),
        awsRegion: REGION,
      },
    ],
  }
}

function sns(now: Date): JsonObject {
  const topic = `arn:aws:sns:${REGION}:${ACCOUNT}:orders`
  return {
    Records: [
      {
        EventSource: 'aws:sns',
        EventVersion: '1.0',
        EventSubscriptionArn: `${topic}:${ID}`,
        Sns: {
          Type: 'Notification',
          MessageId: ID,
          TopicArn: topic,
          Subject: 'an order',
          Message: '{"order":42}',
          Timestamp: now.toISOString(),
          SignatureVersion: '1',
          Signature: 'c2lnbmF0dXJl',
          SigningCertUrl: 'https://sns.us-east-1.amazonaws.com/SimpleNotificationService.pem',
          UnsubscribeUrl: 'https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe',
          MessageAttributes: { kind: { Type: 'String', Value: 'order' } },
        },
      },
    ],
  }
}

function s3Put(now: Date): JsonObject {
  return {
    Records: [
      {
        eventVersion: '2.1',
        eventSource: 'aws:s3',
        awsRegion: REGION,
        eventTime: now.toISOString(),
        eventName: 'ObjectCreated:Put',
        userIdentity: { principalId: 'AWS:AIDAEXAMPLE' },
        requestParameters: { sourceIPAddress: '203.0.113.7' },
        responseElements: { 'x-amz-request-id': 'C3D13FE58DE4C810', 'x-amz-id-2': 'aWQtMg==' },
        s3: {
          s3SchemaVersion: '1.0',
          configurationId: 'uploads',
          bucket: {
            name: 'example-bucket',
            ownerIdentity: { principalId: 'A3NL1KOZZKExample' },
            arn: 'arn:aws:s3:::example-bucket',
          },
          object: {
            key: 'photos/holiday+one.jpg',
            size: 1024,
            eTag: 'd41d8cd98f00b204e9800998ecf8427e',
            sequencer: '0055AED6DCD90281E5',
          },
        },
      },
    ],
  }
}

interface BusEvent {
  readonly source: string
  readonly type: string
  readonly detail: JsonObject
  readonly resources: string[]
}

function eventBridge(now: Date, { source, type, detail, resources }: BusEvent): JsonObject {
  return {
    version: '0',
    id: ID,
    'detail-type': type,
    source,
    account: ACCOUNT,
    time: `${now.toISOString().slice(0, 19)}Z`,
    region: REGION,
    resources,
    detail,
  }
}

function cognitoPreSignUp(): JsonObject {
  return {
    version: '1',
    region: REGION,
    userPoolId: `${REGION}_Example01`,
    userName: ID,
    callerContext: { awsSdkVersion: 'aws-sdk-unknown-unknown', clientId: '1example23456789' },
    triggerSource: 'PreSignUp_SignUp',
    request: { userAttributes: { email: 'ada@example.com' }, validationData: null },
    response: { autoConfirmUser: false, autoVerifyEmail: false, autoVerifyPhone: false },
  }
}
