import assert from 'node:assert/strict'
import { test } from 'node:test'

import { handler } from '../src/hello.js'

const context = { functionName: 'hello', awsRequestId: 'id-1', getRemainingTimeInMillis: () => 3000 }

/** An event of a function URL. */
const event = (method, path, more = {}) => ({
  rawPath: path,
  headers: {},
  requestContext: { requestId: 'id-1', http: { method, path, sourceIp: '127.0.0.1' } },
  isBase64Encoded: false,
  ...more,
})

test('greets who is named', async () => {
  const { statusCode, body } = await handler(event('GET', '/', { queryStringParameters: { name: 'Ada' } }), context)
  assert.equal(statusCode, 200)
  assert.match(JSON.parse(body).message, /Ada!$/)
})

test('takes a body, in Base64 too', async () => {
  const sent = event('POST', '/', { body: Buffer.from('hello').toString('base64'), isBase64Encoded: true })
  const { body } = await handler(sent, context)
  assert.deepEqual(JSON.parse(body), { received: 'hello', requestId: 'id-1' })
})

test('knows no other path', async () => {
  assert.equal((await handler(event('GET', '/none'), context)).statusCode, 404)
})
