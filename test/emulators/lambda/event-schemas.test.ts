import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import * as schemas from '@aws-lambda-powertools/parser/schemas'
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge'
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns'
import { GetQueueUrlCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import kinesalite from 'kinesalite'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'

import type { ApiFunction } from '../../../src/core/function.ts'
import { silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import type {
  AuthorizerOptions,
  RouteOptions,
} from '../../../src/emulators/lambda/front-ends/route-options.ts'
import { openSources } from '../../../src/emulators/lambda/sources/sources.ts'
import { serveProject, type ApiProject } from './api-project.ts'
import { serveApi, type AskOptions, type ServedApi } from './http-harness.ts'
import { FakeClock, fakeInvoker, FakeQueue, SOON } from './source-harness.ts'

interface Schema {
  safeParse(event: unknown): { readonly success: boolean; readonly error?: unknown }
}

function expectOf(schema: Schema, event: unknown): void {
  expect(schema.safeParse(event).error).toBeUndefined()
  // The schema says no to something, so its yes means something.
  expect(schema.safeParse({}).success).toBe(false)
}

describe('what an endpoint gives a function is what Powertools for Lambda takes for its event', () => {
  const FRONT_ENDS: Readonly<Record<string, readonly [RouteOptions, Schema]>> = {
    url: [{ frontEnd: 'function-url' }, schemas.LambdaFunctionUrlSchema],
    http: [
      { frontEnd: 'http-api', stage: 'dev', stageVariables: { a: 'b' } },
      schemas.APIGatewayProxyEventV2Schema,
    ],
    http1: [{ frontEnd: 'http-api', payloadFormat: '1.0' }, schemas.APIGatewayProxyEventSchema],
    rest: [{ frontEnd: 'rest-api', stage: 'Prod' }, schemas.APIGatewayProxyEventSchema],
    alb: [{ frontEnd: 'alb' }, schemas.AlbSchema],
    albmulti: [{ frontEnd: 'alb', multiValueHeaders: true }, schemas.AlbMultiValueHeadersSchema],
  }
  const ASKED: Readonly<Record<string, readonly [string, AskOptions]>> = {
    'nothing but a path': ['', {}],
    'a query, cookies and JSON': [
      '?a=1&a=2&b=%C3%BC+x',
      {
        method: 'POST',
        headers: { cookie: 'a=1; b=2', 'content-type': 'application/json', 'x-list': ['1', '2'] },
        body: '{"a":1}',
      },
    ],
    bytes: [
      '/%C3%BC%2F?a=',
      { method: 'PUT', headers: { 'content-type': 'image/png' }, body: Buffer.from([0, 128, 255]) },
    ],
  }
  let api: ServedApi
  beforeAll(async () => {
    api = await serveApi({
      code: `export const told = async (event) => ({ statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(event) })`,
      functions: ['told'],
      routes: Object.entries(FRONT_ENDS).map(([name, [options]]) => ({
        route: `ANY /${name}/{proxy+}`,
        function: 'told',
        options,
      })),
    })
  })
  afterAll(() => api?.[Symbol.asyncDispose]())

  const cases = Object.entries(FRONT_ENDS).flatMap(([name, [, schema]]) =>
    Object.entries(ASKED).map(([title, asked]) => ({ name, title, schema, asked })),
  )

  // oxlint-disable-next-line vitest/expect-expect -- expectOf() expects
  test.each(cases)('$name: $title', async ({ name, schema, asked: [path, options] }) => {
    const { body } = await api.ask(`/${name}/a${path}`, options)
    expectOf(schema, JSON.parse(body))
  })
})

describe('what an authorizer is given is what Powertools for Lambda takes for its event', () => {
  const AUTHORIZERS: Readonly<
    Record<string, readonly [Pick<RouteOptions, 'frontEnd'>, AuthorizerOptions, Schema]>
  > = {
    token: [
      { frontEnd: 'rest-api' },
      { kind: 'token', function: 'check' },
      schemas.APIGatewayTokenAuthorizerEventSchema,
    ],
    request: [
      { frontEnd: 'rest-api' },
      { kind: 'request', function: 'check', identitySources: ['method.request.header.Authorization'] },
      schemas.APIGatewayRequestAuthorizerEventSchema,
    ],
    http: [
      { frontEnd: 'http-api' },
      { kind: 'request', function: 'check', identitySources: ['$request.header.Authorization'] },
      schemas.APIGatewayRequestAuthorizerEventV2Schema,
    ],
  }
  let api: ServedApi
  beforeAll(async () => {
    api = await serveApi({
      code: `
        export const check = async (event) => ({
          principalId: 'me',
          policyDocument: { Version: '2012-10-17', Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: '*' }] },
          context: { event: JSON.stringify(event) },
        })
        export const told = async ({ requestContext: { authorizer } }) => ({ statusCode: 200, body: (authorizer.lambda ?? authorizer).event })`,
      functions: ['check', 'told'],
      routes: Object.entries(AUTHORIZERS).map(([name, [options, authorizer]]) => ({
        route: `GET /${name}/{id}`,
        function: 'told',
        options: { ...options, authorizer },
      })),
    })
  })
  afterAll(() => api?.[Symbol.asyncDispose]())

  // oxlint-disable-next-line vitest/expect-expect -- expectOf() expects
  test.each(Object.entries(AUTHORIZERS))('%s', async (name, [, , schema]) => {
    const { body } = await api.ask(`/${name}/1?q=1`, { headers: { authorization: 'Bearer a' } })
    expectOf(schema, JSON.parse(body))
  })
})

/** Writes down what it is given. */
const NOTES = `
import { appendFileSync } from 'node:fs'
export const handler = async (event, { functionName }) => {
  appendFileSync('events-' + functionName + '.txt', JSON.stringify(event) + '\\n')
  return { statusCode: 200 }
}`

async function noted(
  { directory }: Pick<ApiProject, 'directory'>,
  name: string,
): Promise<readonly unknown[]> {
  const text = await readFile(join(directory, `events-${name}.txt`), 'utf8').catch(() => '')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)
}

describe('what an event source gives a function is what Powertools for Lambda takes for its event', () => {
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const handler = 'index.handler'
  const stream = { type: 'kinesis', stream: 'clicks', startingPosition: 'TRIM_HORIZON' }
  let kinesis: Server
  let project: ApiProject
  beforeAll(async () => {
    kinesis = kinesalite({ createStreamMs: 0 })
    kinesis.listen(0, '127.0.0.1')
    await once(kinesis, 'listening')
    const endpoint = `http://127.0.0.1:${(kinesis.address() as AddressInfo).port}`
    project = await serveProject(
      {
        queued: { handler, sources: [{ type: 'sqs', queue: 'jobs' }] },
        told: { handler, sources: [{ type: 'sns', topic: 'news' }] },
        ruled: { handler, sources: [{ type: 'events', pattern: { source: ['shop'] } }] },
        streamed: { handler, sources: [{ ...stream, endpoint }] },
      },
      { 'index.mjs': NOTES },
    )
    await askKinesis(endpoint, 'CreateStream', { StreamName: 'clicks', ShardCount: 1 })
    const record = {
      StreamName: 'clicks',
      PartitionKey: 'a',
      Data: Buffer.from('{"a":1}').toString('base64'),
    }
    await vi.waitFor(async () => {
      if ((await askKinesis(endpoint, 'PutRecord', record)) !== 200) throw new Error('there is no stream yet')
    })
  })
  afterAll(async () => {
    await project?.[Symbol.asyncDispose]()
    kinesis.closeAllConnections()
    kinesis.close()
  })

  async function event(name: string): Promise<unknown> {
    await expect.poll(async () => (await noted(project, name)).length, SOON).toBeGreaterThan(0)
    return (await noted(project, name))[0]
  }

  test('a message of a queue', async () => {
    const sqs = new SQSClient({ endpoint: project.endpoint, region: 'us-east-1', credentials })
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'jobs' }))
    const MessageAttributes = { kind: { DataType: 'String', StringValue: 'a' } }
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'one', MessageAttributes }))
    expectOf(schemas.SqsSchema, await event('queued'))
    expect(await event('queued')).toMatchObject({ Records: [{ body: 'one' }] })
    sqs.destroy()
  })

  test('a message of a topic', async () => {
    const sns = new SNSClient({ endpoint: project.endpoint, region: 'us-east-1', credentials })
    const TopicArn = 'arn:aws:sns:us-east-1:123456789012:news'
    await sns.send(new PublishCommand({ TopicArn, Message: 'one', Subject: 'it' }))
    expectOf(schemas.SnsSchema, await event('told'))
    expect(await event('told')).toMatchObject({ Records: [{ Sns: { Message: 'one' } }] })
    sns.destroy()
  })

  test('an event of a bus', async () => {
    const events = new EventBridgeClient({ endpoint: project.endpoint, region: 'us-east-1', credentials })
    const Entries = [{ Source: 'shop', DetailType: 'Sold', Detail: '{"id":1}' }]
    await events.send(new PutEventsCommand({ Entries }))
    expectOf(schemas.EventBridgeSchema, await event('ruled'))
    expect(await event('ruled')).toMatchObject({ source: 'shop', detail: { id: 1 } })
    events.destroy()
  })

  test.each(['rate(1 minute)', 'cron(1 10 * * ? *)', 'at(2026-11-21T10:01:00)'])(
    'a schedule: %s',
    async (expression) => {
      const clock = new FakeClock('2026-11-21T10:00:00Z')
      const invoker = fakeInvoker()
      const config = { name: 'timed', options: { handler, sources: [{ type: 'schedule', expression }] } }
      await using _sources = await openSources({
        host: {
          log: silentLogger,
          stateDirectory: project.directory as AbsolutePath,
          control: () => undefined,
          functions: () => [{ config } as unknown as ApiFunction],
        },
        invoker,
        brokers: { queues: new FakeQueue(clock), listen: () => undefined },
        targets: { send: () => Promise.resolve() },
        environment: {},
        clock,
      })
      await clock.advance(61_000)
      await expect.poll(() => invoker.events.length, SOON).toBe(1)
      expectOf(schemas.EventBridgeSchema, invoker.events[0])
    },
  )

  // oxlint-disable-next-line vitest/expect-expect -- expectOf() expects
  test('records of a stream of Kinesis', async () => {
    expectOf(schemas.KinesisDataStreamSchema, await event('streamed'))
  })
})

/** As its SDKs do it, but by HTTP/1.1, which is all that kinesalite speaks. */
async function askKinesis(endpoint: string, operation: string, input: object): Promise<number> {
  const authorization =
    'AWS4-HMAC-SHA256 Credential=a/20261121/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00'
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: {
      authorization,
      'x-amz-date': '20261121T000000Z',
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `Kinesis_20131202.${operation}`,
    },
    body: JSON.stringify(input),
  })
  await answer.arrayBuffer()
  return answer.status
}

describe('what a WebSocket API gives a function is what Powertools for Lambda takes for its event', () => {
  /** The schema wants them of every event; in the cloud an authorizer's has the first two, and a connection's the others. */
  const OF_ANOTHER = {
    type: 'REQUEST',
    methodArn: 'arn',
    headers: {},
    multiValueHeaders: {},
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
  }

  test('of a connection that comes, speaks and goes', async () => {
    const service = `
service: chat
provider: { name: aws, runtime: nodejs20.x }
functions:
  chat:
    handler: index.handler
    events:
      - websocket: $connect
      - websocket: $disconnect
      - websocket: $default
`
    await using project = await serveProject({}, { 'index.mjs': NOTES, 'serverless.yml': service })
    const socket = new WebSocket(`${project.app.url.replace(/^http/, 'ws')}/?a=1`)
    await once(socket, 'open')
    socket.send('hello')
    await expect.poll(async () => (await noted(project, 'chat-dev-chat')).length, SOON).toBe(2)
    socket.close()
    await expect.poll(async () => (await noted(project, 'chat-dev-chat')).length, SOON).toBe(3)
    const events = await noted(project, 'chat-dev-chat')
    expect(events).toMatchObject(
      ['CONNECT', 'MESSAGE', 'DISCONNECT'].map((eventType) => ({ requestContext: { eventType } })),
    )
    for (const event of events)
      expectOf(schemas.APIGatewayProxyWebsocketEventSchema, { ...OF_ANOTHER, ...(event as object) })
  })
})
