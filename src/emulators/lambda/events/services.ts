import { ACCOUNT, follow, REGION, textAt, type JsonObject, type Sample } from './sample.ts'

const ID = '0b6a3f0e-7c52-4d0f-9b1d-2e8f4a6c1d35'
const BUCKET = { bucket: { path: 'detail.bucket.name' }, key: { path: 'detail.object.key' } }

/** Events of services that tell what happened to something, or ask to have something done. */
export const serviceSamples: readonly Sample[] = [
  { source: 'aws:ses', description: 'SES has received a mail', make: ses },
  {
    source: 'aws:s3-eventbridge',
    description: 'An object was created in an S3 bucket, told through EventBridge',
    short: BUCKET,
    make: s3OnBus,
    settle: (event) =>
      follow(event, 'resources.0', {
        sampled: 'arn:aws:s3:::example-bucket',
        value: `arn:aws:s3:::${textAt(event, 'detail.bucket.name')}`,
      }),
  },
  { source: 'aws:s3-batch', description: 'A job of S3 Batch Operations has a task', make: s3Batch },
  { source: 'aws:alarm', description: 'A CloudWatch alarm has changed its state', make: alarm },
  {
    source: 'aws:cloudformation',
    description: 'CloudFormation wants a custom resource made',
    short: { type: { path: 'RequestType' } },
    make: customResource,
  },
  {
    source: 'aws:secretsmanager',
    description: 'Secrets Manager wants a secret rotated',
    short: { step: { path: 'Step' } },
    make: () => ({
      Step: 'createSecret',
      SecretId: `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:people-a1b2c3`,
      ClientRequestToken: ID,
    }),
  },
  { source: 'aws:codepipeline', description: 'A CodePipeline job has been started', make: codePipeline },
  { source: 'aws:appsync', description: 'AppSync wants a field resolved', make: appSync },
  {
    source: 'aws:iot',
    description: 'A rule of AWS IoT has chosen a message',
    make: (now) => ({ deviceId: 'thermometer-7', temperature: 21.5, timestamp: now.getTime() }),
  },
]

function ses(now: Date): JsonObject {
  const pass = { status: 'PASS' }
  const [from, to] = ['ada@example.com', 'orders@example.com']
  return {
    Records: [
      {
        eventSource: 'aws:ses',
        eventVersion: '1.0',
        ses: {
          mail: {
            timestamp: now.toISOString(),
            source: from,
            messageId: 'o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1',
            destination: [to],
            headersTruncated: false,
            headers: [
              { name: 'From', value: from },
              { name: 'To', value: to },
              { name: 'Subject', value: 'an order' },
            ],
            commonHeaders: {
              returnPath: from,
              from: [from],
              date: now.toUTCString(),
              to: [to],
              messageId: '<0123456789example.com>',
              subject: 'an order',
            },
          },
          receipt: {
            timestamp: now.toISOString(),
            processingTimeMillis: 574,
            recipients: [to],
            spamVerdict: pass,
            virusVerdict: pass,
            spfVerdict: pass,
            dkimVerdict: pass,
            dmarcVerdict: pass,
            dmarcPolicy: 'reject',
            action: {
              type: 'Lambda',
              invocationType: 'Event',
              functionArn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:mail`,
            },
          },
        },
      },
    ],
  }
}

function s3OnBus(now: Date): JsonObject {
  return {
    version: '0',
    id: ID,
    'detail-type': 'Object Created',
    source: 'aws.s3',
    account: ACCOUNT,
    time: `${now.toISOString().slice(0, 19)}Z`,
    region: REGION,
    resources: ['arn:aws:s3:::example-bucket'],
    detail: {
      version: '0',
      bucket: { name: 'example-bucket' },
      object: {
        key: 'photos/holiday one.jpg',
        size: 1024,
        etag: 'd41d8cd98f00b204e9800998ecf8427e',
        sequencer: '0055AED6DCD90281E5',
      },
      'request-id': 'C3D13FE58DE4C810',
      requester: ACCOUNT,
      'source-ip-address': '203.0.113.7',
      reason: 'PutObject',
    },
  }
}

function s3Batch(): JsonObject {
  return {
    invocationSchemaVersion: '1.0',
    invocationId: 'YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo',
    job: { id: 'f3cc4f60-61f6-4a2b-8a21-d07600c373ce' },
    tasks: [
      {
        taskId: 'dGFza2lkZ29lc2hlcmUK',
        s3Key: 'photos/holiday%20one.jpg',
        s3VersionId: '1',
        s3BucketArn: 'arn:aws:s3:::example-bucket',
      },
    ],
  }
}

function alarm(now: Date): JsonObject {
  const time = now.toISOString().replace('Z', '+0000')
  const state = (value: string): JsonObject => ({ value, reason: 'Threshold Crossed', timestamp: time })
  return {
    source: 'aws.cloudwatch',
    alarmArn: `arn:aws:cloudwatch:${REGION}:${ACCOUNT}:alarm:errors`,
    accountId: ACCOUNT,
    time,
    region: REGION,
    alarmData: {
      alarmName: 'errors',
      state: state('ALARM'),
      previousState: state('OK'),
      configuration: { description: 'Too many errors', metrics: [] },
    },
  }
}

function customResource(): JsonObject {
  return {
    RequestType: 'Create',
    ServiceToken: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:resource`,
    ResponseURL: 'https://cloudformation-custom-resource-response.s3.amazonaws.com/example',
    StackId: `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack/people/${ID}`,
    RequestId: ID,
    LogicalResourceId: 'Example',
    ResourceType: 'Custom::Example',
    ResourceProperties: { Name: 'example' },
  }
}

function codePipeline(): JsonObject {
  return {
    'CodePipeline.job': {
      id: ID,
      accountId: ACCOUNT,
      data: {
        actionConfiguration: { configuration: { FunctionName: 'deploy', UserParameters: 'example' } },
        inputArtifacts: [
          {
            name: 'source',
            revision: null,
            location: { type: 'S3', s3Location: { bucketName: 'example-bucket', objectKey: 'source.zip' } },
          },
        ],
        outputArtifacts: [],
        artifactCredentials: { secretAccessKey: 'example', sessionToken: 'example', accessKeyId: 'example' },
      },
    },
  }
}

function appSync(): JsonObject {
  return {
    arguments: { id: '42' },
    identity: null,
    source: null,
    request: { domainName: null, headers: { 'x-forwarded-for': '203.0.113.7' } },
    prev: null,
    info: {
      selectionSetList: ['id', 'name'],
      selectionSetGraphQL: '{\n  id\n  name\n}',
      parentTypeName: 'Query',
      fieldName: 'getPerson',
      variables: {},
    },
    stash: {},
  }
}
