import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { S3EventNotificationEventBridgeSchema, S3Schema } from '@aws-lambda-powertools/parser/schemas'
import { AwsClient } from 'aws4fetch'
import { expect, test } from 'vitest'

import { requestKind } from '../../../src/emulators/lambda/brokers/request-kind.ts'
import { hosted, type Hosted } from './broker-harness.ts'

function record(eventName: string, key: string, bucket = 'photos'): object {
  return {
    eventVersion: '2.0',
    eventSource: 'minio:s3',
    awsRegion: '',
    eventTime: '2026-11-21T10:00:00.123Z',
    eventName,
    userIdentity: { principalId: 'minio' },
    requestParameters: { principalId: 'minio', region: '', sourceIPAddress: '127.0.0.1' },
    responseElements: { 'x-amz-request-id': '1', 'x-amz-id-2': '2' },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: 'Config',
      bucket: { name: bucket, ownerIdentity: { principalId: 'minio' }, arn: `arn:aws:s3:::${bucket}` },
      object: { key, size: 3, eTag: 'aa', sequencer: '17' },
    },
  }
}

async function post({ endpoint }: Hosted, content: unknown): Promise<number> {
  const body = typeof content === 'string' ? content : JSON.stringify(content)
  const headers = { 'Content-Type': 'application/json' }
  return (await fetch(`${endpoint}/s3-events`, { method: 'POST', headers, body })).status
}

test('invokes who listens to the bucket, the kind, and the beginning and end of the key', async () => {
  await using host = await hosted()
  const events = ['s3:ObjectCreated:*']
  host.listen({
    buckets: [
      { function: 'all', source: { type: 's3', bucket: 'photos', events: ['s3:*'] } },
      {
        function: 'cats',
        source: { type: 's3', bucket: 'photos', events, prefix: 'my cats/', suffix: '.jpg' },
      },
      { function: 'puts', source: { type: 's3', bucket: 'photos', events: ['s3:ObjectCreated:Put'] } },
      { function: 'gone', source: { type: 's3', bucket: 'photos', events: ['s3:ObjectRemoved:*'] } },
      { function: 'films', source: { type: 's3', bucket: 'films', events } },
      { function: 'asleep', source: { type: 's3', bucket: 'photos', events, enabled: false } },
    ],
  })
  expect(
    await post(host, {
      EventName: 's3:ObjectCreated:Put',
      Key: 'photos/my cats/one.jpg',
      Records: [record('s3:ObjectCreated:Put', 'my+cats%2Fone.jpg')],
    }),
  ).toBe(200)
  expect(host.invoked.map(({ reference }) => reference)).toEqual(['all', 'cats', 'puts'])
  expect(host.invoked[0]?.event).toMatchObject({
    Records: [
      {
        eventSource: 'aws:s3',
        eventName: 'ObjectCreated:Put',
        s3: { bucket: { name: 'photos' }, object: { key: 'my+cats%2Fone.jpg' } },
      },
    ],
  })
  expect(() => S3Schema.parse(host.invoked[0]?.event)).not.toThrow()
})

/** What is used of s3rver, which has no types. */
interface S3rver {
  run(): Promise<{ readonly port: number }>
  close(): Promise<void>
  on(name: 'event', take: (event: unknown) => void): void
}

test('takes the events of a real S3 server', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flexi-s3-'))
  const require = createRequire(import.meta.url)
  const Server = require('s3rver') as new (options: object) => S3rver
  const options = { directory, silent: true, address: '127.0.0.1', port: 0 }
  const server = new Server({ ...options, configureBuckets: [{ name: 'photos' }] })
  await using host = await hosted()
  const events = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*']
  host.listen({ buckets: [{ function: 'all', source: { type: 's3', bucket: 'photos', events } }] })
  server.on('event', (event) => void post(host, event))
  try {
    const { port } = await server.run()
    const client = new AwsClient({ accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', service: 's3' })
    const url = `http://127.0.0.1:${port}/photos/cat.jpg`
    expect((await client.fetch(url, { method: 'PUT', body: 'cat' })).status).toBe(200)
    await expect.poll(() => host.invoked.length).toBe(1)
    expect((await client.fetch(url, { method: 'DELETE' })).status).toBe(204)
    await expect.poll(() => host.invoked.length).toBe(2)
    expect(host.invoked).toMatchObject([
      {
        event: { Records: [{ eventName: 'ObjectCreated:Put', s3: { object: { key: 'cat.jpg', size: 3 } } }] },
      },
      { event: { Records: [{ eventName: 'ObjectRemoved:Delete' }] } },
    ])
  } finally {
    await server.close()
    await rm(directory, { recursive: true })
  }
})

test('tells the default bus of objects, for rules of EventBridge', async () => {
  await using host = await hosted()
  const pattern = { source: ['aws.s3'], detail: { bucket: { name: ['photos'] } } }
  host.listen({ buses: [{ function: 'ruled', source: { type: 'events', pattern } }] })
  const names = ['s3:ObjectCreated:Put', 's3:ObjectRemoved:Delete', 's3:ObjectAccessed:Get']
  await post(host, { Records: names.map((name) => record(name, 'my+cats%2Fone.jpg')) })
  expect(host.invoked.map(({ event }) => event)).toMatchObject([
    {
      'detail-type': 'Object Created',
      time: '2026-11-21T10:00:00Z',
      resources: ['arn:aws:s3:::photos'],
      detail: {
        version: '0',
        bucket: { name: 'photos' },
        object: { key: 'my cats/one.jpg', size: 3, etag: 'aa', sequencer: '17' },
        'source-ip-address': '127.0.0.1',
        reason: 'PutObject',
      },
    },
    { 'detail-type': 'Object Deleted', detail: { 'deletion-type': 'Permanently Deleted' } },
  ])
  expect(() => S3EventNotificationEventBridgeSchema.parse(host.invoked[0]?.event)).not.toThrow()
})

test('makes an event of each record', async () => {
  await using host = await hosted()
  host.listen({ buckets: [{ function: 'all', source: { type: 's3', bucket: 'photos', events: ['s3:*'] } }] })
  await post(host, { Records: [record('ObjectCreated:Put', 'a'), record('ObjectRemoved:Delete', 'b')] })
  expect(host.invoked.map(({ event }) => (event as { Records: unknown[] }).Records.length)).toEqual([1, 1])
})

test('answers who only asks whether somebody is there, and refuses what is no notification', async () => {
  await using host = await hosted()
  expect((await fetch(`${host.endpoint}/s3-events`, { method: 'HEAD' })).status).toBe(200)
  expect(await post(host, '')).toBe(200)
  for (const content of ['{', '[]', '3', '{"Records":3}']) expect(await post(host, content)).toBe(400)
  expect(await post(host, { Records: [null, 3, {}, { s3: { object: { key: '%' } } }] })).toBe(200)
})

test('says which bucket and function when an event cannot be taken', async () => {
  await using host = await hosted({ invokeEvent: () => Promise.reject(new Error('nobody here')) })
  host.listen({ buckets: [{ function: 'all', source: { type: 's3', bucket: 'photos', events: ['s3:*'] } }] })
  expect(await post(host, { Records: [record('ObjectCreated:Put', 'a')] })).toBe(200)
  expect(host.said).toEqual(['bucket photos: all did not get an event: nobody here'])
})

test.each<[string, string, string[], string | undefined]>([
  ['POST', '/', ['X-Amz-Target', 'AmazonSQS.SendMessage'], 'sqs'],
  ['POST', '/', ['x-amz-target', 'AWSEvents.PutEvents'], 'events'],
  ['POST', '/', ['x-amz-target', 'Kinesis_20131202.PutRecord'], undefined],
  ['POST', '/', ['Content-Type', 'application/x-www-form-urlencoded; charset=utf-8'], 'query'],
  ['POST', '/123456789012/orders', ['content-type', 'application/x-www-form-urlencoded'], 'query'],
  ['GET', '/?Action=ListTopics', [], 'query'],
  ['GET', '/2015-03-31/functions/?Marker=x', [], undefined],
  [
    'POST',
    '/2015-03-31/functions/f/invocations',
    ['content-type', 'application/x-www-form-urlencoded'],
    undefined,
  ],
  ['POST', '/s3-events', [], 's3-events'],
  ['POST', '/', [], undefined],
])('a request is told by its fields: %s %s %j is of %s', (method, target, fields, kind) => {
  expect(requestKind({ method, target, fields })).toBe(kind)
})
