import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import {
  CreateEventSourceMappingCommand,
  CreateFunctionCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  GetFunctionConfigurationCommand,
  GetLayerVersionByArnCommand,
  GetLayerVersionCommand,
  InvokeCommand,
  ListEventSourceMappingsCommand,
  ListLayersCommand,
  ListLayerVersionsCommand,
  DeleteLayerVersionCommand,
  PublishLayerVersionCommand,
  PublishVersionCommand,
  PutFunctionEventInvokeConfigCommand,
  UpdateEventSourceMappingCommand,
  UpdateFunctionCodeCommand,
} from '@aws-sdk/client-lambda'
import {
  ApiGatewayManagementApiClient,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi'
import { EventBridgeClient, ListEventBusesCommand } from '@aws-sdk/client-eventbridge'
import { ListTopicsCommand, SNSClient } from '@aws-sdk/client-sns'
import { CreateQueueCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { json, serveProject, type ApiProject } from './api-project.ts'
import { zipOf } from './zip.ts'

const ANY: unknown = expect.any(String)
const QUEUE_ARN = 'arn:aws:sqs:us-east-1:123456789012'

let project: ApiProject
let sqs: SQSClient
beforeAll(async () => {
  project = await serveProject(
    {
      // It sends what it was given to a queue whose name is in its variables, with the plain SDK.
      relay: { handler: 'relay.handler', timeout: 20, environment: { TO: 'relayed' } },
      fails: { handler: 'fails.handler' },
      listed: {
        handler: 'fails.handler',
        sources: [{ type: 'sqs', queue: 'declared', enabled: false, batchSize: 3 }],
      },
    },
    { 'relay.js': RELAY, 'fails.js': `exports.handler = async () => { throw new Error('no') }` },
  )
  sqs = new SQSClient({
    endpoint: project.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'flexi', secretAccessKey: 'flexi' },
    maxAttempts: 1,
  })
})
afterAll(async () => {
  sqs?.destroy()
  await project?.[Symbol.asyncDispose]()
})

const RELAY = `const { SQSClient, SendMessageCommand, GetQueueUrlCommand } = require('@aws-sdk/client-sqs')
const sqs = new SQSClient({})
exports.handler = async ({ Records }) => {
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: process.env.TO }))
  for (const { body } of Records) await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'relayed ' + body }))
}`

async function queue(QueueName: string): Promise<string> {
  return String((await sqs.send(new CreateQueueCommand({ QueueName }))).QueueUrl)
}

async function received(QueueUrl: string): Promise<string | undefined> {
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }))
  return Messages?.[0]?.Body
}

test('a queue that is mapped through the API gives its messages to the function, until the mapping is deleted', async () => {
  const { client } = project
  const [from, to] = [await queue('mapped'), await queue('relayed')]
  const EventSourceArn = `${QUEUE_ARN}:mapped`
  const create = () =>
    client.send(new CreateEventSourceMappingCommand({ FunctionName: 'relay', EventSourceArn, BatchSize: 5 }))
  const created = await create()
  expect(created).toMatchObject({
    $metadata: { httpStatusCode: 202 },
    State: 'Creating',
    BatchSize: 5,
    MaximumBatchingWindowInSeconds: 0,
    EventSourceArn,
    FunctionArn: 'arn:aws:lambda:us-east-1:123456789012:function:relay',
  })
  const { UUID } = created
  await sqs.send(new SendMessageCommand({ QueueUrl: from, MessageBody: 'one' }))
  expect(await received(to)).toBe('relayed one')
  await expect
    .poll(async () => (await client.send(new GetEventSourceMappingCommand({ UUID }))).LastProcessingResult)
    .toBe('OK')
  await expect(create()).rejects.toMatchObject({
    name: 'ResourceConflictException',
    message: expect.stringContaining(
      `mapping already exists. Please update or delete the existing mapping with UUID ${UUID}`,
    ),
  })
  const updated = await client.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: false }))
  expect([updated.State, updated.BatchSize]).toEqual(['Updating', 5])
  const found = await client.send(new GetEventSourceMappingCommand({ UUID }))
  expect(found).toMatchObject({ State: 'Disabled', BatchSize: 5 })
  const listed = await client.send(new ListEventSourceMappingsCommand({ EventSourceArn }))
  expect(listed.EventSourceMappings?.map((mapping) => mapping.UUID)).toEqual([UUID])
  expect((await client.send(new DeleteEventSourceMappingCommand({ UUID }))).State).toBe('Deleting')
  await expect(client.send(new GetEventSourceMappingCommand({ UUID }))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  })
})

test('mappings of the project’s files are listed, and changed only there', async () => {
  const { client } = project
  const { EventSourceMappings = [] } = await client.send(
    new ListEventSourceMappingsCommand({ FunctionName: 'listed' }),
  )
  expect(EventSourceMappings).toMatchObject([{ State: 'Disabled', BatchSize: 3, UUID: ANY }])
  const UUID = EventSourceMappings[0]?.UUID
  await expect(
    client.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: true })),
  ).rejects.toMatchObject({ message: "The mapping is in the project's files: change it there." })
})

test.each([
  ['arn:aws:kafka:us-east-1:123456789012:cluster/a', {}, 'InvalidParameterValueException'],
  [`${QUEUE_ARN}:a`, { BatchSize: 11 }, 'InvalidParameterValueException'],
  [
    `${QUEUE_ARN}:a.fifo`,
    { BatchSize: 11, MaximumBatchingWindowInSeconds: 1 },
    'InvalidParameterValueException',
  ],
  [`${QUEUE_ARN}:a`, { BatchSize: 0 }, 'ValidationException'],
  [`${QUEUE_ARN}:a`, { FilterCriteria: { Filters: [{ Pattern: '{' }] } }, 'InvalidParameterValueException'],
  ['arn:aws:kinesis:us-east-1:123456789012:stream/a', {}, 'ValidationException'],
])('a mapping that cannot be is refused: %s %j', async (EventSourceArn, more, name) => {
  const command = new CreateEventSourceMappingCommand({ FunctionName: 'relay', EventSourceArn, ...more })
  await expect(project.client.send(command)).rejects.toMatchObject({ name })
})

test.each([
  ['DestinationConfig', 'x', 'SerializationException'],
  ['DestinationConfig', { OnFailure: 'x' }, 'SerializationException'],
  ['FilterCriteria', 'x', 'InvalidParameterValueException'],
  ['FilterCriteria', { Filters: [{ Pattern: 'null' }] }, 'InvalidParameterValueException'],
  ['FilterCriteria', { Filters: [{ Pattern: '"a"' }] }, 'InvalidParameterValueException'],
])(
  'nothing is kept of a mapping that cannot be read, because no other source would start beside it: %s %j',
  async (member, value, type) => {
    const answer = await project.ask('/2015-03-31/event-source-mappings', {
      method: 'POST',
      body: JSON.stringify({
        FunctionName: 'relay',
        EventSourceArn: 'arn:aws:kinesis:us-east-1:123456789012:stream/odd',
        StartingPosition: 'LATEST',
        [member]: value,
      }),
    })
    expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([400, type])
    const { EventSourceMappings = [] } = await project.client.send(
      new ListEventSourceMappingsCommand({ FunctionName: 'relay' }),
    )
    expect(EventSourceMappings.map(({ EventSourceArn }) => EventSourceArn)).not.toContain(
      'arn:aws:kinesis:us-east-1:123456789012:stream/odd',
    )
  },
)

test('an event that failed for good goes to the destination that the API was told', async () => {
  const to = await queue('failed')
  await project.client.send(
    new PutFunctionEventInvokeConfigCommand({
      FunctionName: 'fails',
      MaximumRetryAttempts: 0,
      DestinationConfig: { OnFailure: { Destination: `${QUEUE_ARN}:failed` } },
    }),
  )
  await project.client.send(
    new InvokeCommand({ FunctionName: 'fails', InvocationType: 'Event', Payload: '{"a":1}' }),
  )
  expect(JSON.parse(String(await received(to)))).toMatchObject({
    requestContext: {
      condition: 'RetriesExhausted',
      functionArn: 'arn:aws:lambda:us-east-1:123456789012:function:fails:$LATEST',
    },
    requestPayload: { a: 1 },
    responsePayload: { errorMessage: 'no' },
  })
})

test('other services are asked at the same endpoint', async () => {
  const config = {
    endpoint: project.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'flexi', secretAccessKey: 'flexi' },
    maxAttempts: 1,
  }
  const sns = new SNSClient(config)
  const bridge = new EventBridgeClient(config)
  const management = new ApiGatewayManagementApiClient(config)
  expect((await sns.send(new ListTopicsCommand({}))).Topics ?? []).toEqual([])
  const { EventBuses } = await bridge.send(new ListEventBusesCommand({}))
  expect(EventBuses?.map(({ Name }) => Name)).toEqual(['default'])
  const nobody = new PostToConnectionCommand({ ConnectionId: 'nobody', Data: 'x' })
  await expect(management.send(nobody)).rejects.toMatchObject({ name: 'GoneException' })
  for (const client of [sns, bridge, management]) client.destroy()
})

test('layers of a folder of the project stay with code that lies elsewhere: versions, and zips over it', async () => {
  const shared = (says: string) => `module.exports = '${says}'`
  const code = `exports.handler = async () => require('shared')`
  await using own = await serveProject(
    { own: { handler: 'app.handler', layers: ['layer'] } },
    { 'app.js': code, 'layer/nodejs/node_modules/shared/index.js': shared('beside') },
  )
  await own.client.send(new PublishVersionCommand({ FunctionName: 'own' }))
  const ran = async (Qualifier: string) =>
    json((await own.client.send(new InvokeCommand({ FunctionName: 'own', Qualifier }))).Payload)
  expect(await ran('1')).toBe('beside')
  const ZipFile = zipOf([{ name: 'app.js', text: `exports.handler = async () => require('shared') + '!'` }])
  await own.client.send(new UpdateFunctionCodeCommand({ FunctionName: 'own', ZipFile }))
  expect(await ran('$LATEST')).toBe('beside!')
})

test('a version has the layers as they were when it was published', async () => {
  const text = (says: string) => `module.exports = '${says}'`
  const packed = zipOf([{ name: 'nodejs/node_modules/zipped/index.js', text: text('zipped') }])
  const first = await serveProject(
    { own: { handler: 'app.handler', layers: ['layer', 'layer.zip'] } },
    {
      'app.js': `exports.handler = async () => [require('shared'), require('zipped')]`,
      'layer/nodejs/node_modules/shared/index.js': text('before'),
    },
  )
  const zip = join(first.directory, 'layer.zip')
  await writeFile(zip, packed)
  await first.client.send(new PublishVersionCommand({ FunctionName: 'own' }))
  await using own = await first.restarted(async () => {
    await writeFile(
      join(first.directory, 'layer/nodejs/node_modules/shared/index.js'),
      text('after the version was published'),
    )
    await rm(zip)
  })
  const { Payload } = await own.client.send(new InvokeCommand({ FunctionName: 'own', Qualifier: '1' }))
  expect(json(Payload)).toEqual(['before', 'zipped'])
})

test('a layer is published, named by its ARN, and found by the function that has it', async () => {
  const { client } = project
  const published = await client.send(
    new PublishLayerVersionCommand({
      LayerName: 'common',
      Description: 'shared',
      CompatibleRuntimes: ['nodejs20.x'],
      Content: {
        ZipFile: zipOf([
          { name: 'nodejs/node_modules/shared/index.js', text: `module.exports = 'from the layer'` },
        ]),
      },
    }),
  )
  const LayerVersionArn = 'arn:aws:lambda:us-east-1:123456789012:layer:common:1'
  expect(published).toMatchObject({ $metadata: { httpStatusCode: 201 }, LayerVersionArn, Version: 1 })
  for (const command of [
    new GetLayerVersionCommand({ LayerName: 'common', VersionNumber: 1 }),
    new GetLayerVersionByArnCommand({ Arn: LayerVersionArn }),
  ])
    expect(await client.send(command as GetLayerVersionCommand)).toMatchObject({
      LayerVersionArn,
      Description: 'shared',
      Content: { CodeSha256: published.Content?.CodeSha256 },
    })
  const { Layers } = await client.send(new ListLayersCommand({}))
  expect(Layers).toMatchObject([{ LayerName: 'common', LatestMatchingVersion: { Version: 1 } }])
  await client.send(
    new CreateFunctionCommand({
      FunctionName: 'layered',
      Runtime: 'nodejs20.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::123456789012:role/tests',
      Layers: [LayerVersionArn],
      Code: {
        ZipFile: zipOf([{ name: 'index.js', text: `exports.handler = async () => require('shared')` }]),
      },
    }),
  )
  const shown = await client.send(new GetFunctionConfigurationCommand({ FunctionName: 'layered' }))
  expect(shown.Layers).toMatchObject([{ Arn: LayerVersionArn }])
  await client.send(new DeleteLayerVersionCommand({ LayerName: 'common', VersionNumber: 1 }))
  const left = await client.send(new ListLayerVersionsCommand({ LayerName: 'common' }))
  expect(left.LayerVersions).toEqual([])
  const { Payload } = await client.send(new InvokeCommand({ FunctionName: 'layered' }))
  expect(json(Payload)).toBe('from the layer')
})
