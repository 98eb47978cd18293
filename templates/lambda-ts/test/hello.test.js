// Builds the function as a deployment would ship it, and calls its handler. Run it with `npm test`.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { before, test } from 'node:test'

// FLEXI may name the command, for a flexi that is not installed here: FLEXI="node ../flexi/bin/run.js".
const [command, ...args] = (process.env.FLEXI ?? 'npx flexi').split(' ')
const root = new URL('..', import.meta.url)
const context = { functionName: 'hello', awsRequestId: 'id-1', getRemainingTimeInMillis: () => 3000 }

let handler

before(async () => {
  execFileSync(command, [...args, 'build', '--out', '.flexi/test'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  ;({ handler } = await import(new URL('.flexi/test/hello/src/hello.mjs', root).href))
})

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
