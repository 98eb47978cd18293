import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'

import { describe, expect, test } from 'vitest'

import { listEvents, sampleEvent } from '../../../src/emulators/lambda/events/index.ts'
import { openFunction } from './harness.ts'

describe('sample events', () => {
  test('there is one of every source that Lambda users meet', () => {
    expect(listEvents().map(({ source }) => source)).toEqual([
      'aws:function-url',
      'aws:http-api',
      'aws:rest-api',
      'aws:alb',
      'aws:websocket',
      'aws:websocket-connect',
      'aws:authorizer-token',
      'aws:authorizer-http',
      'aws:vpc-lattice',
      'aws:sqs',
      'aws:sns',
      'aws:s3',
      'aws:eventbridge',
      'aws:schedule',
      'aws:cognito',
      'aws:dynamodb',
      'aws:kinesis',
      'aws:logs',
      'aws:msk',
      'aws:kafka',
      'aws:mq',
      'aws:rabbitmq',
      'aws:documentdb',
      'aws:firehose',
      'aws:cognito-post-confirmation',
      'aws:cognito-pre-authentication',
      'aws:cognito-post-authentication',
      'aws:cognito-pre-token',
      'aws:cognito-custom-message',
      'aws:cognito-migrate-user',
      'aws:cognito-pre-token-v2',
      'aws:cognito-define-auth',
      'aws:cognito-create-auth',
      'aws:cognito-verify-auth',
      'aws:cognito-custom-email-sender',
      'aws:ses',
      'aws:s3-eventbridge',
      'aws:s3-batch',
      'aws:alarm',
      'aws:cloudformation',
      'aws:secretsmanager',
      'aws:codepipeline',
      'aws:appsync',
      'aws:iot',
      'aws:alb-multi',
      'aws:authorizer-request',
      'aws:websocket-disconnect',
      'aws:s3-delete',
      'aws:sqs-fifo',
      'aws:dynamodb-modify',
      'aws:dynamodb-remove',
      'aws:cloudformation-delete',
    ])
    expect(listEvents().every(({ description }) => description.length > 10)).toBe(true)
  })

  test.each(listEvents().map(({ source }) => source))('%s is fresh JSON each time', (source) => {
    const event = sampleEvent(source)
    expect(JSON.parse(JSON.stringify(event))).toEqual(event)
    expect(sampleEvent(source)).not.toBe(event)
  })

  test('the prefix may be left out', () => {
    expect(Object.keys(sampleEvent('sqs'))).toEqual(['Records'])
  })

  test('a value is replaced by its path or its short name, and what follows from it is corrected', () => {
    const body = 'hello'
    const record = { body, md5OfBody: createHash('md5').update(body).digest('hex') }
    expect(sampleEvent('aws:sqs', { body })).toMatchObject({ Records: [record] })
    expect(sampleEvent('aws:sqs', { 'Records.0.body': body })).toMatchObject({ Records: [record] })
  })

  test('values keep the kind they have: numbers and objects are read as JSON, texts are texts', () => {
    expect(sampleEvent('aws:eventbridge', { detail: '{"a":1}' })['detail']).toEqual({ a: 1 })
    expect(sampleEvent('aws:function-url', { 'requestContext.timeEpoch': '5', path: '7' })).toMatchObject({
      requestContext: { timeEpoch: 5 },
      rawPath: '7',
    })
  })

  test('maps of free names may grow, the event itself may not', () => {
    expect(sampleEvent('aws:http-api', { 'headers.x-new': 'a' })).toMatchObject({ headers: { 'x-new': 'a' } })
    expect(() => sampleEvent('aws:http-api', { haeders: 'a' })).toThrow(/has no haeders/)
    expect(() => sampleEvent('aws:sqs', { 'Records.5.body': 'a' })).toThrow(/has no Records.5.body/)
  })

  test('what is encoded in the event is encoded', () => {
    expect(sampleEvent('aws:s3', { key: 'a b/ü.txt' })).toMatchObject({
      Records: [{ s3: { object: { key: 'a+b/%C3%BC.txt' } } }],
    })
    expect(sampleEvent('aws:kinesis', { data: 'x' })).toMatchObject({
      Records: [{ kinesis: { data: 'eA==' } }],
    })
    const { awslogs } = sampleEvent('aws:logs', { message: 'boom' }) as unknown as {
      awslogs: { data: string }
    }
    expect(gunzipSync(Buffer.from(awslogs.data, 'base64')).toString()).toContain('"message":"boom"')
  })

  test('an unknown source is answered with the nearest', () => {
    const unknown = (source: string): unknown => {
      try {
        return sampleEvent(source)
      } catch (error) {
        return error
      }
    }
    expect(unknown('aws:sqz')).toMatchObject({ code: 'FLEXI_NO_INPUT', hint: 'Did you mean aws:sqs?' })
    expect(unknown('kinessis')).toMatchObject({ hint: 'Did you mean aws:kinesis?' })
    expect(unknown('azure:blob')).toMatchObject({ hint: expect.stringContaining('aws:function-url, ') })
  })

  test('a function can be invoked with every one', async () => {
    await using opened = await openFunction(
      { 'app.mjs': 'export const handler = async (event) => Object.keys(event)' },
      { handler: 'app.handler' },
    )
    for (const { source } of listEvents()) {
      const event = sampleEvent(source)
      expect((await opened.invoke(event)).value).toEqual(Object.keys(event))
    }
  })
})

describe('what follows from a value that was replaced', () => {
  const ARN = 'arn:aws:s3:::mine'

  test('the ARN of a bucket', () => {
    for (const source of ['aws:s3', 'aws:s3-delete'])
      expect(sampleEvent(source, { bucket: 'mine' })).toMatchObject({
        Records: [{ s3: { bucket: { name: 'mine', arn: ARN } } }],
      })
    expect(sampleEvent('aws:s3-eventbridge', { bucket: 'mine' })).toMatchObject({ resources: [ARN] })
    expect(sampleEvent('aws:s3', { bucket: 'mine', 'Records.0.s3.bucket.arn': 'told' })).toMatchObject({
      Records: [{ s3: { bucket: { arn: 'told' } } }],
    })
  })

  test('path, query, method and length, wherever a request says them', () => {
    for (const source of ['aws:http-api', 'aws:function-url'])
      expect(sampleEvent(source, { path: '/a/b?x=1&x=2&y=%20z', body: 'ü' })).toMatchObject({
        rawPath: '/a/b',
        rawQueryString: 'x=1&x=2&y=%20z',
        queryStringParameters: { x: '1,2', y: ' z' },
        headers: { 'content-length': '2' },
        requestContext: { http: { path: '/a/b' } },
      })
    expect(sampleEvent('aws:rest-api', { path: '/a', method: 'DELETE' })).toMatchObject({
      path: '/a',
      httpMethod: 'DELETE',
      requestContext: { path: '/prod/a', httpMethod: 'DELETE' },
    })
  })
})
