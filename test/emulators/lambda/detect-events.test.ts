import { describe, expect, test } from 'vitest'

import { settingsOf } from '../../../src/emulators/lambda/service/function-settings.ts'
import { APP, detect, errors, warnings, type Found } from './detect-harness.ts'

const AWS = 'us-east-1:123456789012'

const settings = ({ functions }: Found, name: string): unknown => {
  const found = functions.find((one) => one.name === name)
  return found === undefined ? undefined : settingsOf(found)
}

const sources = (found: Found, name: string): unknown =>
  (settings(found, name) as { readonly sources?: unknown }).sources

/** Functions of a SAM template; more resources follow. */
const sam = (events: string, more = ''): Record<string, string> => ({
  'template.yaml': `Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Events:
        E:
${events.replace(/^/gm, '          ')}
${more.replace(/^/gm, '  ')}
`,
  'app.mjs': APP,
})

const QUEUE = 'Jobs: { Type: AWS::SQS::Queue, Properties: { QueueName: jobs } }'

describe('events of a SAM function', () => {
  const EVENTS: readonly (readonly [event: string, source: object])[] = [
    [
      `Type: SQS
Properties:
  Queue: !GetAtt Jobs.Arn
  BatchSize: 100
  MaximumBatchingWindowInSeconds: 2
  Enabled: false
  FilterCriteria: { Filters: [{ Pattern: '{"body":{"kind":["a"]}}' }] }
  FunctionResponseTypes: [ReportBatchItemFailures]
  ScalingConfig: { MaximumConcurrency: 5 }`,
      {
        type: 'sqs',
        queue: `arn:aws:sqs:${AWS}:jobs`,
        name: 'E',
        enabled: false,
        batchSize: 100,
        window: 2,
        filters: [{ body: { kind: ['a'] } }],
        reportBatchItemFailures: true,
        maximumConcurrency: 5,
      },
    ],
    [
      `Type: Kinesis
Properties:
  Stream: !Sub 'arn:aws:kinesis:\${AWS::Region}:\${AWS::AccountId}:stream/clicks'
  StartingPosition: TRIM_HORIZON
  BisectBatchOnFunctionError: true
  MaximumRetryAttempts: 3
  MaximumRecordAgeInSeconds: 3600
  ParallelizationFactor: 2
  TumblingWindowInSeconds: 60
  DestinationConfig: { OnFailure: { Destination: !GetAtt Jobs.Arn } }`,
      {
        type: 'kinesis',
        stream: 'clicks',
        name: 'E',
        startingPosition: 'TRIM_HORIZON',
        bisectBatchOnError: true,
        maximumRetryAttempts: 3,
        maximumRecordAge: 3600,
        parallelizationFactor: 2,
        tumblingWindow: 60,
        onFailure: `arn:aws:sqs:${AWS}:jobs`,
      },
    ],
    [
      'Type: DynamoDB\nProperties: { Stream: !GetAtt Items.StreamArn, StartingPosition: LATEST }',
      { type: 'dynamodb', stream: 'items', name: 'E', startingPosition: 'LATEST' },
    ],
    [
      'Type: Schedule\nProperties: { Schedule: rate(5 minutes), Name: often, Input: \'{"a":1}\', Enabled: false }',
      { type: 'schedule', expression: 'rate(5 minutes)', name: 'often', input: { a: 1 }, enabled: false },
    ],
    [
      'Type: ScheduleV2\nProperties:\n  ScheduleExpression: cron(0 10 * * ? *)\n  ScheduleExpressionTimezone: Europe/Berlin\n  State: ENABLED\n  FlexibleTimeWindow: { Mode: OFF }',
      {
        type: 'schedule',
        expression: 'cron(0 10 * * ? *)',
        timezone: 'Europe/Berlin',
        name: 'E',
        enabled: true,
      },
    ],
    [
      'Type: EventBridgeRule\nProperties:\n  EventBusName: !Ref Bus\n  InputPath: $.detail\n  Pattern: { source: [shop] }\n  DeadLetterConfig: { Arn: !GetAtt Jobs.Arn }',
      {
        type: 'events',
        pattern: { source: ['shop'] },
        bus: 'orders',
        inputPath: '$.detail',
        deadLetter: `arn:aws:sqs:${AWS}:jobs`,
        name: 'E',
      },
    ],
    [
      'Type: CloudWatchEvent\nProperties: { Pattern: { source: [aws.s3] }, Input: plain }',
      { type: 'events', pattern: { source: ['aws.s3'] }, input: 'plain', name: 'E' },
    ],
    [
      'Type: SNS\nProperties:\n  Topic: !Ref Topic\n  FilterPolicyScope: MessageBody\n  FilterPolicy: { kind: [a] }\n  RedrivePolicy: { deadLetterTargetArn: !GetAtt Jobs.Arn }',
      {
        type: 'sns',
        topic: `arn:aws:sns:${AWS}:Topic`,
        filterPolicy: { kind: ['a'] },
        filterPolicyScope: 'MessageBody',
        deadLetter: `arn:aws:sqs:${AWS}:jobs`,
        name: 'E',
      },
    ],
    [
      'Type: S3\nProperties:\n  Bucket: !Ref Bucket\n  Events: [s3:ObjectCreated:*]\n  Filter: { S3Key: { Rules: [{ Name: prefix, Value: in/ }, { Name: suffix, Value: .jpg }] } }',
      {
        type: 's3',
        bucket: 'uploads',
        events: ['s3:ObjectCreated:*'],
        prefix: 'in/',
        suffix: '.jpg',
        name: 'E',
      },
    ],
  ]
  const MORE = `${QUEUE}
Items: { Type: AWS::DynamoDB::Table, Properties: { TableName: items } }
Bus: { Type: AWS::Events::EventBus, Properties: { Name: orders } }
Topic: { Type: AWS::SNS::Topic }
Bucket: { Type: AWS::S3::Bucket, Properties: { BucketName: uploads } }`

  test.each(EVENTS)('%s', async (event, source) => {
    const found = await detect(sam(event, MORE))
    expect(errors(found)).toEqual([])
    expect(sources(found, 'F')).toEqual([source])
    expect(warnings(found)).toEqual([
      'AWS::DynamoDB::Table is not emulated: Items',
      'AWS::S3::Bucket is not emulated: Bucket',
    ])
  })

  test('a topic with SqsSubscription has a queue between it and the function, which SAM makes', async () => {
    const found = await detect(
      sam(
        'Type: SNS\nProperties: { Topic: !Ref Topic, FilterPolicy: { a: [b] }, SqsSubscription: { BatchSize: 5 } }',
        MORE,
      ),
    )
    const queue = `arn:aws:sqs:${AWS}:FEQueue`
    expect(sources(found, 'F')).toEqual([{ type: 'sqs', queue, name: 'E', batchSize: 5 }])
    expect(found.resources).toContainEqual({ kind: 'queue', name: 'FEQueue', attributes: {} })
    expect(found.resources).toContainEqual({
      kind: 'topic',
      name: 'Topic',
      subscriptions: [{ protocol: 'sqs', endpoint: queue, filterPolicy: { a: ['b'] } }],
    })
  })

  test('what a property would do in the cloud and does not here is told where it stands', async () => {
    const found = await detect(
      sam(
        'Type: Schedule\nProperties:\n  Schedule: rate(1 hour)\n  RetryPolicy: { MaximumRetryAttempts: 1 }\n  Description: told to nobody',
      ),
    )
    expect(warnings(found)).toEqual(['F: RetryPolicy of Schedule events does nothing here'])
    expect(found.faults[0]?.place).toMatchObject({ line: 11, column: 26 })
  })

  test('an event that cannot be is told where it stands, and its function is served', async () => {
    const found = await detect(sam('Type: Schedule\nProperties: { Schedule: every now and then }'))
    expect(errors(found)).toEqual([])
    expect(warnings(found)[0]).toContain('its source schedule delivers nothing: "expression" cannot be')
    expect(found.faults[0]?.place).toMatchObject({ line: 8 })
    expect(found.functions.map(({ name, options }) => [name, options['sources']])).toEqual([['F', undefined]])
  })
})

describe('settings of a SAM function', () => {
  const TEMPLATE = `Globals: { Function: { ReservedConcurrentExecutions: 5 } }
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      FunctionName: !Sub 'shop-\${AWS::Region}'
      AutoPublishAlias: live
      ProvisionedConcurrencyConfig: { ProvisionedConcurrentExecutions: 2 }
      DeadLetterQueue: { Type: SQS, TargetArn: !GetAtt Jobs.Arn }
      Layers: [!Ref Common, 'arn:aws:lambda:eu-west-1:1:layer:other:3']
      FunctionUrlConfig: { AuthType: NONE, InvokeMode: RESPONSE_STREAM }
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        MaximumEventAgeInSeconds: 60
        DestinationConfig:
          OnSuccess: { Type: SQS }
          OnFailure: { Destination: !Ref Topic }
      Environment: { Variables: { SELF: !GetAtt G.Arn, ALIAS: !Ref F.Alias, URL: !Ref Jobs } }
  G: { Type: AWS::Serverless::Function, Properties: { Handler: app.handler, FunctionName: gee } }
  Common: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: layers/common } }
  Topic: { Type: AWS::SNS::Topic }
  ${QUEUE}
`

  test('all of them', async () => {
    const found = await detect({ 'template.yaml': TEMPLATE, 'app.mjs': APP, 'layers/common/nodejs/a.js': '' })
    expect(errors(found)).toEqual([])
    expect(settings(found, 'F')).toEqual({
      handler: 'app.handler',
      functionName: 'shop-us-east-1',
      alias: 'live',
      reservedConcurrency: 5,
      provisionedConcurrency: 2,
      deadLetter: `arn:aws:sqs:${AWS}:jobs`,
      layers: [`${found.directory}/layers/common`],
      url: { invokeMode: 'RESPONSE_STREAM' },
      maximumRetryAttempts: 1,
      maximumEventAge: 60,
      onSuccess: `arn:aws:sqs:${AWS}:FEventInvokeConfigOnSuccessQueue`,
      onFailure: `arn:aws:sns:${AWS}:Topic`,
    })
    expect(found.functions[0]?.environment).toEqual({
      SELF: `arn:aws:lambda:${AWS}:function:gee`,
      ALIAS: `arn:aws:lambda:${AWS}:function:shop-us-east-1:live`,
      URL: 'https://sqs.us-east-1.amazonaws.com/123456789012/jobs',
    })
    expect(warnings(found)).toEqual([
      'F: the layer arn:aws:lambda:eu-west-1:1:layer:other:3 is in no folder of yours; it is not there',
    ])
  })

  test('one that cannot be is told, and the others count', async () => {
    const found = await detect({
      'template.yaml':
        "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: app.handler\n      ReservedConcurrentExecutions: many\n      DeadLetterQueue: { Type: SQS, TargetArn: 'no arn' }\n      AutoPublishAlias: live\n",
      'app.mjs': APP,
    })
    expect(settings(found, 'F')).toEqual({ handler: 'app.handler', alias: 'live' })
    expect(warnings(found)).toEqual([
      'F: "reservedConcurrency" cannot be "many"; it is left out',
      'F: "deadLetter" cannot be "no arn"; it is left out',
    ])
    expect(found.faults.map(({ place }) => place.line)).toEqual([6, 7])
  })
})

describe('resources in their long form', () => {
  const TEMPLATE = `Resources:
  F: { Type: AWS::Lambda::Function, Properties: { FunctionName: eff, Handler: app.handler, Code: . } }
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      FifoQueue: false
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3 }
      Tags: [{ Key: a, Value: !ImportValue nobody }]
  Dead: { Type: AWS::SQS::Queue, Properties: { FifoQueue: true, ContentBasedDeduplication: true } }
  Never: { Type: AWS::SQS::Queue, Condition: No }
  Bus: { Type: AWS::Events::EventBus, Properties: { Name: orders } }
  Topic:
    Type: AWS::SNS::Topic
    Properties: { TopicName: news, Subscription: [{ Protocol: lambda, Endpoint: !GetAtt F.Arn }] }
  Sub:
    Type: AWS::SNS::Subscription
    Properties:
      TopicArn: !Ref Topic
      Protocol: sqs
      Endpoint: !GetAtt Jobs.Arn
      RawMessageDelivery: true
      FilterPolicy: { a: [1] }
  Mail: { Type: AWS::SNS::Subscription, Properties: { TopicArn: !Ref Topic, Protocol: email, Endpoint: a@b.test } }
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties: { EventSourceArn: !GetAtt Jobs.Arn, FunctionName: !Ref F, BatchSize: 1 }
  Config:
    Type: AWS::Lambda::EventInvokeConfig
    Properties: { FunctionName: !Ref F, Qualifier: $LATEST, MaximumRetryAttempts: 0 }
  Live:
    Type: AWS::Lambda::Alias
    Properties:
      FunctionName: !Ref F
      FunctionVersion: !GetAtt V.Version
      Name: live
      ProvisionedConcurrencyConfig: { ProvisionedConcurrentExecutions: 1 }
  V: { Type: AWS::Lambda::Version, Properties: { FunctionName: !Ref F } }
  Rule:
    Type: AWS::Events::Rule
    Properties:
      ScheduleExpression: rate(1 day)
      EventPattern: { source: [shop] }
      EventBusName: !Ref Bus
      State: DISABLED
      Targets:
        - { Id: a, Arn: !GetAtt F.Arn, Input: '{"k":1}' }
        - { Id: b, Arn: !GetAtt Jobs.Arn }
  Timer:
    Type: AWS::Scheduler::Schedule
    Properties:
      ScheduleExpression: at(2030-01-01T00:00:00)
      ScheduleExpressionTimezone: Asia/Tokyo
      FlexibleTimeWindow: { Mode: 'OFF' }
      Target: { Arn: !Ref Live, RoleArn: r }
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: uploads
      NotificationConfiguration:
        LambdaConfigurations: [{ Event: 's3:ObjectRemoved:*', Function: !GetAtt F.Arn }]
        EventBridgeConfiguration: { EventBridgeEnabled: true }
Conditions: { No: !Equals [a, b] }
`

  test('their functions have sources and settings of them', async () => {
    const found = await detect({ 'template.yaml': TEMPLATE, 'app.mjs': APP })
    expect(errors(found)).toEqual([])
    expect(settings(found, 'F')).toMatchObject({
      functionName: 'eff',
      alias: 'live',
      provisionedConcurrency: 1,
      maximumRetryAttempts: 0,
    })
    expect(sources(found, 'F')).toEqual([
      { type: 'sns', topic: `arn:aws:sns:${AWS}:news`, name: 'Topic' },
      { type: 'sqs', queue: `arn:aws:sqs:${AWS}:Jobs`, name: 'Mapping', batchSize: 1 },
      { type: 'schedule', expression: 'rate(1 day)', input: { k: 1 }, name: 'Rule', enabled: false },
      {
        type: 'events',
        pattern: { source: ['shop'] },
        bus: 'orders',
        input: { k: 1 },
        name: 'Rule',
        enabled: false,
      },
      { type: 'schedule', expression: 'at(2030-01-01T00:00:00)', timezone: 'Asia/Tokyo', name: 'Timer' },
      { type: 's3', bucket: 'uploads', events: ['s3:ObjectRemoved:*'], name: 'Bucket' },
    ])
  })

  test('a FIFO topic says whether content tells its messages apart', async () => {
    const topic = (said: string): string =>
      `{ Type: AWS::SNS::Topic, Properties: { FifoTopic: true, ContentBasedDeduplication: ${said} } }`
    const more = [`News: ${topic('true')}`, `Plain: ${topic('"false"')}`, 'Open: { Type: AWS::SNS::Topic }']
    const { resources } = await detect(sam('Type: SNS\nProperties: { Topic: !Ref Open }', more.join('\n')))
    expect(resources).toEqual([
      { kind: 'topic', name: 'News.fifo', subscriptions: [], contentBasedDeduplication: true },
      { kind: 'topic', name: 'Plain.fifo', subscriptions: [], contentBasedDeduplication: false },
      { kind: 'topic', name: 'Open', subscriptions: [] },
    ])
  })

  test('queues, topics and buses are there, unless their condition is not met', async () => {
    const found = await detect({ 'template.yaml': TEMPLATE, 'app.mjs': APP })
    const policy = { deadLetterTargetArn: `arn:aws:sqs:${AWS}:Dead.fifo`, maxReceiveCount: 3 }
    expect(found.resources).toEqual([
      {
        kind: 'queue',
        name: 'Jobs',
        attributes: { VisibilityTimeout: '60', RedrivePolicy: JSON.stringify(policy) },
      },
      {
        kind: 'queue',
        name: 'Dead.fifo',
        attributes: { FifoQueue: 'true', ContentBasedDeduplication: 'true' },
      },
      { kind: 'bus', name: 'orders' },
      {
        kind: 'topic',
        name: 'news',
        subscriptions: [
          {
            protocol: 'sqs',
            endpoint: `arn:aws:sqs:${AWS}:Jobs`,
            filterPolicy: { a: [1] },
            rawMessageDelivery: true,
          },
        ],
      },
      {
        kind: 'rule',
        name: 'Rule',
        bus: 'orders',
        pattern: { source: ['shop'] },
        schedule: 'rate(1 day)',
        enabled: false,
        targets: [{ Id: 'b', Arn: `arn:aws:sqs:${AWS}:Jobs` }],
      },
    ])
  })

  test('what leads nowhere is told', async () => {
    expect(warnings(await detect({ 'template.yaml': TEMPLATE, 'app.mjs': APP }))).toEqual([
      'Mail: subscriptions by email are not served',
      'AWS::S3::Bucket is not emulated: Bucket',
    ])
  })
})
