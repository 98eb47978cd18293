import { createServer, type RequestListener, type Server } from 'node:http'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { ApiAnswer } from './http-harness.ts'
import { expectSame, FRONT_ENDS, openRoundTrip, type RoundTrip, type RoundTripRequest } from './round-trip.ts'

/** A listener of node:http, as frameworks are underneath. */
const APP = `(request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  // serverless-http tells of the end of an empty body twice.
  request.once('end', () => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost')
    const queries = [...new Set(searchParams.keys())].sort().map((name) => [name, searchParams.getAll(name)])
    const { host, cookie, 'x-own': own, 'content-type': type } = request.headers
    const seen = { method: request.method, path: pathname, queries, own, type, cookie, host: host !== undefined }
    response.setHeader('x-seen', encodeURIComponent(JSON.stringify(seen)))
    const cookies = Array.from({ length: Number(searchParams.get('cookies')) }, (_, index) => 'c' + index + '=v; Path=/')
    // A list of one is lost between serverless-http and a load balancer with single values.
    if (cookies.length > 0) response.setHeader('set-cookie', cookies.length === 1 ? cookies[0] : cookies)
    response.statusCode = Number(searchParams.get('status'))
    if (response.statusCode === 204) return response.end()
    const body = Buffer.concat(chunks)
    response.setHeader('content-type', type ?? 'text/plain')
    response.setHeader('content-length', body.length)
    response.end(body)
  })
}`

function alone(): Server {
  // The same text as the function's, so that the two cannot differ.
  // oxlint-disable-next-line typescript/no-implied-eval
  return createServer(new Function(`return ${APP}`)() as RequestListener).listen(0, '127.0.0.1')
}

describe('an app behind serverless-http answers as on a server of its own', () => {
  let roundTrip: RoundTrip
  beforeAll(async () => {
    roundTrip = await openRoundTrip({
      code: `
        import serverless from '${import.meta.resolve('serverless-http')}'
        export const app = serverless(${APP}, { binary: true })`,
      direct: alone(),
    })
  })
  afterAll(() => roundTrip?.[Symbol.asyncDispose]())

  // oxlint-disable-next-line vitest/expect-expect -- expectSame() expects
  test.each(Object.keys(FRONT_ENDS))('behind %s', (name) => expectSame(roundTrip, name), 20_000)
})

describe('an app behind @vendia/serverless-express answers as on a server of its own', () => {
  let roundTrip: RoundTrip
  beforeAll(async () => {
    roundTrip = await openRoundTrip({
      code: `
        import serverlessExpress from '${import.meta.resolve('@vendia/serverless-express')}'
        export const app = serverlessExpress({ app: { handle: ${APP} }, binarySettings: { isBinary: () => true } })`,
      direct: alone(),
      // The library tells the app what {proxy+} stands for, where an event has it.
      pathAlone: (name, path) => (name === 'rest' || name === 'http1' ? path.replace(`/${name}`, '') : path),
    })
  })
  afterAll(() => roundTrip?.[Symbol.asyncDispose]())

  // oxlint-disable-next-line vitest/expect-expect -- expectSame() expects
  test.each(Object.keys(FRONT_ENDS))('behind %s', (name) => expectSame(roundTrip, name), 20_000)
})

describe('what differs by the cloud’s own rules', () => {
  const asked: RoundTripRequest = {
    method: 'POST',
    path: 'a',
    query: [],
    status: 200,
    cookies: 0,
    own: 'x',
    cookie: undefined,
    content: { type: 'text/plain', body: Buffer.from('text') },
  }
  let roundTrip: RoundTrip
  beforeAll(async () => {
    roundTrip = await openRoundTrip({
      code: `
        import serverless from '${import.meta.resolve('serverless-http')}'
        export const app = serverless(${APP}, { binary: true })`,
      direct: alone(),
      frontEnds: {
        alb: { frontEnd: 'alb' },
        rest: { frontEnd: 'rest-api', stage: 'Prod' },
        http: { frontEnd: 'http-api', stage: 'dev' },
      },
    })
  })
  afterAll(() => roundTrip?.[Symbol.asyncDispose]())

  const seen = (answer: ApiAnswer): unknown =>
    JSON.parse(decodeURIComponent(String(answer.headers['x-seen'])))

  test('a load balancer with single values tells the last of several, because its events hold one a name', async () => {
    const options = { method: 'GET', headers: { accept: '*/*' } }
    const [behind, direct] = await roundTrip.askAs('/alb/a?status=200&cookies=0&n=1&n=2', options)
    expect(seen(behind)).toMatchObject({
      queries: [
        ['cookies', ['0']],
        ['n', ['2']],
        ['status', ['200']],
      ],
    })
    expect(seen(direct)).toMatchObject({
      queries: [
        ['cookies', ['0']],
        ['n', ['1', '2']],
        ['status', ['200']],
      ],
    })
  })

  test('a REST API without binary media types sends Base64 as it is, because it decodes only those types', async () => {
    const [behind, direct] = await roundTrip.ask('rest', asked)
    expect(direct.body).toBe('text')
    expect(behind.body).toBe(Buffer.from('text').toString('base64'))
  })

  test('a named stage of an HTTP API is part of the path, because rawPath has it', async () => {
    const [behind, direct] = await roundTrip.ask('http', asked)
    expect(seen(direct)).toMatchObject({ path: '/http/a' })
    expect(seen(behind)).toMatchObject({ path: '/dev/http/a' })
  })
})
