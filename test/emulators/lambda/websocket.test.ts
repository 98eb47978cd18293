import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import type { Place } from '../../../src/core/place.ts'
import type { WebSocketOptions } from '../../../src/emulators/lambda/front-ends/route-options.ts'
import { webSocketRoutes } from '../../../src/emulators/lambda/web-sockets/routes.ts'
import { temporaryFolder } from './harness.ts'
import { serveApi, type ServedApi } from './http-harness.ts'

/** Each function writes down the events it gets; `does` says what else. */
const CODE = `
import { appendFileSync } from 'node:fs'
const record = (name, event) => appendFileSync(process.env.RECORD, JSON.stringify({ name, event }) + '\\n')
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export const connect = async (event) => {
  record('connect', event)
  const { mode } = event.queryStringParameters ?? {}
  if (mode === 'throw') throw new Error('no')
  if (mode === 'malformed') return 'hello'
  if (mode === 'refuse') return { statusCode: 418, body: 'teapot' }
  if (mode === 'slow') await pause(5000)
  if (mode === 'pause') await pause(300)
  if (mode === 'protocol') return { statusCode: 200, headers: { 'sec-websocket-protocol': 'chat.v2' } }
  return { statusCode: 200 }
}
export const disconnect = async (event) => { record('disconnect', event); return { statusCode: 200 } }
export const message = async (event) => { record('message', event); return { statusCode: 200, body: 'unheard' } }
export const echo = async (event) => {
  const { data, waitMs = 0 } = JSON.parse(event.body)
  if (waitMs > 0) await pause(waitMs)
  return { statusCode: 200, body: String(data) }
}
export const fail = async () => { throw new Error('broken') }
export const odd = async () => ({ statusCode: 200, ConnectionId: 'x' })
export const nothing = async () => undefined
export const authorize = async (event) => {
  record('authorize', event)
  const { auth } = event.queryStringParameters
  if (auth === 'nobody') throw new Error('Unauthorized')
  if (auth === 'broken') throw new Error('oops')
  const Effect = auth === 'allow' ? 'Allow' : 'Deny'
  return {
    principalId: 'ada',
    policyDocument: { Version: '2012-10-17', Statement: [{ Effect, Action: 'execute-api:Invoke', Resource: event.methodArn }] },
    context: { level: 3 },
  }
}
`

const FUNCTIONS = ['connect', 'disconnect', 'message', 'echo', 'fail', 'odd', 'nothing', 'authorize']
const ORIGIN: Place = { file: '/project/serverless.yml', line: 1, column: 1 }

const LIFE = {
  $connect: { function: 'connect', timeoutMs: 1_000 },
  $disconnect: { function: 'disconnect' },
} as const

type Api = Omit<WebSocketOptions, 'frontEnd' | 'path'>

const CHAT: Api = {
  apiId: 'chat',
  stage: 'dev',
  routes: {
    ...LIFE,
    $default: { function: 'message' },
    echo: { function: 'echo', responds: true },
    slow: { function: 'echo', responds: true, timeoutMs: 100 },
    silent: { function: 'echo' },
    fail: { function: 'fail' },
    odd: { function: 'odd' },
    nothing: { function: 'nothing' },
    nobody: { function: 'nobody' },
  },
}

const BARE: Api = {
  apiId: 'bare',
  stage: 'bare',
  selection: '${request.body.a.b}!',
  routes: { 'x!': { function: 'message' } },
}

const GUARDED: Api = {
  apiId: 'guarded',
  stage: 'guarded',
  stageVariables: { tier: 'gold' },
  routes: {
    $connect: {
      function: 'connect',
      authorizer: {
        kind: 'request',
        function: 'authorize',
        identitySources: ['route.request.querystring.auth'],
      },
    },
    $default: { function: 'message' },
  },
}

const KEYED: Api = {
  apiId: 'keyed',
  stage: 'keyed',
  apiKeys: [{ value: 'secret' }],
  routes: { $connect: { function: 'connect', apiKeyRequired: true } },
}

const SHORT: Api = {
  apiId: 'short',
  stage: 'short',
  routes: LIFE,
  limits: { idleMs: 300, durationMs: 60_000 },
}
const BRIEF: Api = { apiId: 'brief', stage: 'brief', routes: LIFE, limits: { durationMs: 150 } }
/** A stage of the same name as another API's. */
const SECOND: Api = {
  apiId: 'second',
  stage: 'dev',
  routes: { $default: { function: 'echo', responds: true } },
}

interface SocketEvent {
  readonly requestContext: {
    readonly connectionId: string
    readonly extendedRequestId: string
    readonly routeKey: string
    readonly stage: string
    readonly authorizer?: object
  }
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly stageVariables?: object
  readonly queryStringParameters?: Readonly<Record<string, string>>
}

interface Recorded {
  readonly name: string
  readonly event: SocketEvent
}

interface Served extends AsyncDisposable {
  readonly api: ServedApi
  readonly url: string
  recorded(): Promise<Recorded[]>
  events(name: string, connectionId: string): Promise<SocketEvent[]>
  /** The first of them. */
  event(name: string, connectionId: string): Promise<SocketEvent>
}

async function serve(apis: readonly Api[]): Promise<Served> {
  const directory = await temporaryFolder({ 'record.jsonl': '' })
  const file = join(directory, 'record.jsonl')
  const api = await serveApi({
    code: CODE,
    functions: FUNCTIONS,
    routes: [],
    config: { environment: { RECORD: file } },
    derive: () => webSocketRoutes(apis.map((options) => ({ origin: ORIGIN, options }))),
  })
  const recorded = async (): Promise<Recorded[]> => {
    const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as Recorded)
  }
  const events = async (name: string, connectionId: string): Promise<SocketEvent[]> =>
    (await recorded())
      .filter((one) => one.name === name && one.event.requestContext.connectionId === connectionId)
      .map(({ event }) => event)
  return {
    api,
    url: `ws://127.0.0.1:${api.port}`,
    recorded,
    events,
    async event(name, connectionId) {
      const [event] = await events(name, connectionId)
      if (event === undefined) throw new Error(`${name} has heard nothing of ${connectionId}`)
      return event
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A client that keeps what it hears. */
class Caller implements AsyncDisposable {
  readonly socket: WebSocket
  readonly heard: (string | Buffer)[] = []
  readonly closed: Promise<{ code: number; reason: string }>

  constructor(url: string, protocols: string[] = [], headers: Record<string, string> = {}) {
    this.socket = new WebSocket(url, protocols, { headers })
    this.socket.on('message', (data: Buffer, isBinary) => this.heard.push(isBinary ? data : data.toString()))
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
  }

  static async open(...options: ConstructorParameters<typeof Caller>): Promise<Caller> {
    const caller = new Caller(...options)
    await once(caller.socket, 'open')
    return caller
  }

  /** The connection's id, as the gateway says it with an error. */
  async id(): Promise<string> {
    this.say({ action: 'fail' })
    await once(this.socket, 'message')
    const told = JSON.parse(String(this.heard.pop())) as { readonly connectionId: string }
    return told.connectionId
  }

  say(message: object): void {
    this.socket.send(JSON.stringify(message))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close()
    await this.closed
  }
}

/** The status and the body of a handshake that is refused. */
async function refusal(
  ...options: ConstructorParameters<typeof Caller>
): Promise<{ status: number; body: string }> {
  const caller = new Caller(...options)
  caller.socket.on('error', () => undefined)
  const [, answer] = await once(caller.socket, 'unexpected-response')
  let body = ''
  for await (const chunk of answer) body += String(chunk)
  return { status: answer.statusCode, body }
}

const ID = expect.stringMatching(/^[\w-]{15}=$/)
const TIME = expect.stringMatching(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/)
const EPOCH = expect.any(Number)

let served: Served
beforeAll(async () => {
  served = await serve([CHAT, BARE, GUARDED, KEYED, SHORT, BRIEF, SECOND])
})
afterAll(() => served[Symbol.asyncDispose]())

describe('connecting', () => {
  test('$connect sees the request that asks for the connection', async () => {
    await using caller = await Caller.open(`${served.url}/dev?room=a%20b&room=c`, [], {
      'user-agent': 'me',
      'X-One': '1',
    })
    const id = await caller.id()
    const event = await served.event('connect', id)
    const host = `127.0.0.1:${served.api.port}`
    expect(event).toEqual({
      headers: expect.objectContaining({
        Host: host,
        'X-One': '1',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': expect.any(String),
        'X-Forwarded-For': '127.0.0.1',
        'X-Forwarded-Proto': 'http',
        'X-Amzn-Trace-Id': expect.stringMatching(/^Root=1-/),
      }),
      multiValueHeaders: expect.objectContaining({ Host: [host], 'X-One': ['1'] }),
      queryStringParameters: { room: 'c' },
      multiValueQueryStringParameters: { room: ['a b', 'c'] },
      requestContext: {
        routeKey: '$connect',
        eventType: 'CONNECT',
        extendedRequestId: ID,
        requestTime: TIME,
        messageDirection: 'IN',
        stage: 'dev',
        connectedAt: EPOCH,
        requestTimeEpoch: EPOCH,
        identity: { userAgent: 'me', sourceIp: '127.0.0.1' },
        requestId: event.requestContext.extendedRequestId,
        domainName: host,
        connectionId: id,
        apiId: 'chat',
      },
      isBase64Encoded: false,
    })
    expect(id).toEqual(ID)
    expect(Object.keys(event.headers).map((name) => name.toLowerCase())).not.toContain('upgrade')
  })

  test.each([
    ['refuse', 418, 'teapot'],
    ['throw', 502, '{"message": "Internal server error", "connectionId":'],
    ['malformed', 502, '{"message": "Internal server error", "connectionId":'],
    ['slow', 504, '{"message": "Endpoint request timed out", "connectionId":'],
  ])('there is no connection when $connect does: %s', async (mode, status, body) => {
    const answer = await refusal(`${served.url}/dev?mode=${mode}`)
    expect(answer.status).toBe(status)
    expect(answer.body).toContain(body)
  })

  test('the function says which protocol is spoken', async () => {
    await using caller = await Caller.open(`${served.url}/dev?mode=protocol`, ['chat.v1', 'chat.v2'])
    expect(caller.socket.protocol).toBe('chat.v2')
  })

  test('no protocol is spoken that the function did not name, so that clients who insist give up as in the cloud', async () => {
    const caller = new Caller(`${served.url}/dev`, ['chat.v1'])
    const [error] = await once(caller.socket, 'error')
    expect(String(error)).toContain('no subprotocol')
  })

  test('the first API is at the root too, as behind a domain of its own', async () => {
    await using caller = await Caller.open(`${served.url}/?a=1`)
    expect((await served.event('connect', await caller.id())).requestContext).toMatchObject({
      stage: 'dev',
      apiId: 'chat',
    })
  })

  test('a path that is no stage is 403', async () => {
    expect((await refusal(`${served.url}/prod`)).status).toBe(403)
    expect((await refusal(`${served.url}/dev/more`)).status).toBe(403)
  })

  test('a second API with a stage of the same name is below its own id', async () => {
    await using caller = await Caller.open(`${served.url}/second/dev`)
    caller.say({ data: 'two' })
    await expect.poll(() => caller.heard).toEqual(['two'])
  })

  test('a handshake without a key is 400, and asks no function', async () => {
    const { status } = await served.api.ask('/dev', {
      headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
    })
    expect(status).toBe(400)
  })

  test('a key is asked for where the route wants one', async () => {
    expect((await refusal(`${served.url}/keyed`)).status).toBe(403)
    expect((await refusal(`${served.url}/keyed`, [], { 'x-api-key': 'wrong' })).status).toBe(403)
    await using caller = await Caller.open(`${served.url}/keyed`, [], { 'x-api-key': 'secret' })
    expect(caller.socket.readyState).toBe(WebSocket.OPEN)
  })
})

describe('an authorizer', () => {
  test('is given the request, and what it says goes along with every event', async () => {
    await using caller = await Caller.open(`${served.url}/guarded?auth=allow`)
    caller.socket.send('hello')
    const authorizer = { principalId: 'ada', level: '3', integrationLatency: expect.any(Number) }
    const id = await connectionOf('guarded', 'message')
    const said = async (name: string): Promise<unknown> =>
      (await served.event(name, id)).requestContext.authorizer
    expect(await said('message')).toEqual(authorizer)
    expect(await said('connect')).toEqual(authorizer)
    const event = await served.event('authorize', id)
    expect(event).toMatchObject({
      type: 'REQUEST',
      methodArn: 'arn:aws:execute-api:us-east-1:123456789012:guarded/guarded/$connect',
      queryStringParameters: { auth: 'allow' },
      stageVariables: { tier: 'gold' },
      requestContext: { routeKey: '$connect', eventType: 'CONNECT' },
    })
    expect((await served.event('message', id)).stageVariables).toEqual({ tier: 'gold' })
  })

  test.each([
    ['', 401, 'Unauthorized'],
    ['?auth=nobody', 401, 'Unauthorized'],
    ['?auth=deny', 403, 'Forbidden'],
    ['?auth=broken', 500, 'Internal server error'],
  ])('refuses the handshake: %s', async (query, status, message) => {
    const answer = await refusal(`${served.url}/guarded${query}`)
    expect([answer.status, JSON.parse(answer.body).message]).toEqual([status, message])
  })
})

describe('messages', () => {
  test('that no function could be run for are told once a second, with their number', async () => {
    await using caller = await Caller.open(`${served.url}/dev`)
    const told = (): string[] => served.api.warnings.filter((one) => one.startsWith('nobody was not run'))
    for (let count = 0; count < 50; count += 1) caller.say({ action: 'nobody' })
    await expect.poll(() => caller.heard).toHaveLength(50)
    expect(told()[0]).toBe('nobody was not run: no function is called nobody')
    expect(told().length).toBeLessThan(10)
    const next = (): string | undefined => {
      caller.say({ action: 'nobody' })
      return told().at(-1)
    }
    await expect.poll(next, { timeout: 5_000 }).toMatch(/ \(and \d+ more since the last such line\)$/)
  })

  test('a message that names no route goes to $default, as text', async () => {
    await using caller = await Caller.open(`${served.url}/dev`)
    const id = await caller.id()
    caller.socket.send('{"action":"unknown"}')
    await expect.poll(() => served.events('message', id)).toHaveLength(1)
    const event = await served.event('message', id)
    expect(event).toEqual({
      requestContext: {
        routeKey: '$default',
        messageId: ID,
        eventType: 'MESSAGE',
        extendedRequestId: ID,
        requestTime: TIME,
        messageDirection: 'IN',
        stage: 'dev',
        connectedAt: EPOCH,
        requestTimeEpoch: EPOCH,
        identity: { sourceIp: '127.0.0.1' },
        requestId: event.requestContext.extendedRequestId,
        domainName: `127.0.0.1:${served.api.port}`,
        connectionId: id,
        apiId: 'chat',
      },
      body: '{"action":"unknown"}',
      isBase64Encoded: false,
    })
    caller.socket.send('no JSON ✓')
    await expect.poll(async () => (await served.events('message', id)).at(-1)?.body).toBe('no JSON ✓')
    expect(caller.heard).toEqual([])
  })

  test('the selection expression names the route', async () => {
    await using caller = await Caller.open(`${served.url}/bare`)
    caller.say({ a: { b: 'x' } })
    const id = await connectionOf('bare', 'message')
    expect((await served.event('message', id)).requestContext.routeKey).toBe('x!')
  })

  test.each(['{"a":{"b":"y"}}', '{"a":1}', 'text', '[]'])(
    'without a route and without $default it is forbidden: %s',
    async (text) => {
      await using caller = await Caller.open(`${served.url}/bare`)
      caller.socket.send(text)
      await expect.poll(() => caller.heard).toHaveLength(1)
      expect(caller.heard[0]).toMatch(
        /^\{"message": "Forbidden", "connectionId":"[\w-]{15}=", "requestId":"[\w-]{15}="\}$/,
      )
    },
  )

  test('the body of a two-way route goes back; of any other nothing does', async () => {
    await using caller = await Caller.open(`${served.url}/dev`)
    caller.say({ action: 'silent', data: 'no' })
    caller.say({ action: 'echo', data: 'yes' })
    await expect.poll(() => caller.heard).toEqual(['yes'])
  })

  test.each(['fail', 'odd', 'nothing'])(
    'what a function does wrong is an internal error: %s',
    async (action) => {
      await using caller = await Caller.open(`${served.url}/dev`)
      caller.say({ action })
      await expect.poll(() => caller.heard).toHaveLength(1)
      expect(JSON.parse(String(caller.heard[0]))).toEqual({
        message: 'Internal server error',
        connectionId: ID,
        requestId: ID,
      })
    },
  )

  test('a function that takes longer than its route allows is given up', async () => {
    await using caller = await Caller.open(`${served.url}/dev`)
    caller.say({ action: 'slow', data: 1, waitMs: 400 })
    await expect
      .poll(() => caller.heard.map((text) => JSON.parse(String(text)).message))
      .toEqual(['Endpoint request timed out'])
  })

  test('a slow one does not hold up the next', async () => {
    await using caller = await Caller.open(`${served.url}/dev`)
    caller.say({ action: 'echo', data: 'slow', waitMs: 300 })
    caller.say({ action: 'echo', data: 'quick' })
    await expect.poll(() => caller.heard).toEqual(['quick', 'slow'])
  })

  test('a burst loses nothing: what cannot be run yet waits in the socket', async () => {
    await using caller = await Caller.open(`${served.url}/dev`)
    // More than one read of a socket brings, and than a function's queue takes.
    const wanted = Array.from({ length: 1_500 }, (_, index) => String(index))
    for (const data of wanted) caller.say({ action: 'echo', data })
    await expect.poll(() => caller.heard.length, { timeout: 8_000 }).toBe(wanted.length)
    expect(caller.heard.map(String).toSorted((a, b) => Number(a) - Number(b))).toEqual(wanted)
  })

  test('binary frames are refused with 1003, as API Gateway does', async () => {
    const caller = await Caller.open(`${served.url}/dev`)
    caller.socket.send(Buffer.from([1, 2, 3]))
    expect((await caller.closed).code).toBe(1003)
  })

  test('a frame above 32 KiB is 1009, though messages may have 128', async () => {
    const caller = await Caller.open(`${served.url}/dev`)
    caller.socket.send('a'.repeat(32 * 1024 + 1))
    expect((await caller.closed).code).toBe(1009)
  })

  test('128 KiB in several frames are a message, and one byte more is 1009', async () => {
    const caller = await Caller.open(`${served.url}/dev`)
    const id = await caller.id()
    const part = 'a'.repeat(32 * 1024)
    for (const fin of [false, false, false, true]) caller.socket.send(part, { fin })
    await expect.poll(async () => (await served.event('message', id)).body.length).toBe(128 * 1024)
    for (const fin of [false, false, false, false]) caller.socket.send(part, { fin })
    caller.socket.send('a', { fin: true })
    expect((await caller.closed).code).toBe(1009)
    await expect
      .poll(() => served.events('disconnect', id))
      .toMatchObject([{ requestContext: { disconnectStatusCode: 1009 } }])
  })
})

describe('disconnecting', () => {
  const ends: [
    string,
    (caller: Caller) => void,
    { disconnectStatusCode: number; disconnectReason: string },
  ][] = [
    [
      'a code and a reason',
      ({ socket }) => socket.close(4000, 'enough'),
      { disconnectStatusCode: 4000, disconnectReason: 'enough' },
    ],
    [
      'neither',
      ({ socket }) => socket.close(),
      { disconnectStatusCode: 1005, disconnectReason: 'Client-side close frame status not set' },
    ],
    ['a cut', ({ socket }) => socket.terminate(), { disconnectStatusCode: 1006, disconnectReason: '' }],
  ]
  test.each(ends)('$disconnect tells how the client left: %s', async (_name, leave, told) => {
    const caller = await Caller.open(`${served.url}/dev`)
    const id = await caller.id()
    leave(caller)
    await expect.poll(() => served.events('disconnect', id)).toHaveLength(1)
    const event = await served.event('disconnect', id)
    const host = `127.0.0.1:${served.api.port}`
    expect(event).toEqual({
      headers: { Host: host, 'x-api-key': '', 'X-Forwarded-For': '', 'x-restapi': '' },
      multiValueHeaders: { Host: [host], 'x-api-key': [''], 'X-Forwarded-For': [''], 'x-restapi': [''] },
      requestContext: {
        routeKey: '$disconnect',
        eventType: 'DISCONNECT',
        extendedRequestId: ID,
        requestTime: TIME,
        messageDirection: 'IN',
        stage: 'dev',
        connectedAt: EPOCH,
        requestTimeEpoch: EPOCH,
        identity: { sourceIp: '127.0.0.1' },
        requestId: event.requestContext.extendedRequestId,
        domainName: host,
        connectionId: id,
        apiId: 'chat',
        ...told,
      },
      isBase64Encoded: false,
    })
  })

  test('a client that left before it was let in is told of too, because its function keeps it', async () => {
    const caller = new Caller(`${served.url}/dev?mode=pause`)
    caller.socket.on('error', () => undefined)
    const id = await connectionOf('dev', 'connect', 'pause')
    caller.socket.terminate()
    await expect
      .poll(() => served.events('disconnect', id))
      .toMatchObject([{ requestContext: { disconnectStatusCode: 1006 } }])
  })

  test('a connection that says nothing is ended, and pings keep it', async () => {
    const caller = await Caller.open(`${served.url}/short`)
    const from = performance.now()
    let pings = 0
    const timer = setInterval(() => {
      if (pings++ < 4) caller.socket.ping()
    }, 100)
    expect(await caller.closed).toEqual({ code: 1001, reason: 'Going away' })
    clearInterval(timer)
    expect(performance.now() - from).toBeGreaterThan(550)
  })

  test('a connection has its time, however busy it is', async () => {
    const caller = await Caller.open(`${served.url}/brief`)
    expect(await caller.closed).toEqual({ code: 1001, reason: 'Going away' })
  })

  test('when the server stops clients are told to go, and $disconnect still runs', async () => {
    const own = await serve([CHAT])
    const caller = await Caller.open(`${own.url}/dev`)
    const id = await caller.id()
    // Its record is gone with it: what is there when the gateway has drained is looked at first.
    const stop = own.api[Symbol.asyncDispose]()
    expect(await caller.closed).toEqual({ code: 1001, reason: 'Going away' })
    await stop
    expect(await own.events('disconnect', id)).toMatchObject([
      { requestContext: { disconnectStatusCode: 1001 } },
    ])
  })
})

describe('the management API', () => {
  const client = (path: string): ApiGatewayManagementApiClient =>
    new ApiGatewayManagementApiClient({
      endpoint: `http://127.0.0.1:${served.api.port}${path}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'flexi', secretAccessKey: 'flexi' },
      maxAttempts: 1,
    })

  test.each(['/dev', ''])('sends to a connection, tells of it and ends it: at %s', async (path) => {
    const caller = await Caller.open(`${served.url}/dev`, [], { 'user-agent': 'me' })
    const ConnectionId = await caller.id()
    const api = client(path)
    await api.send(new PostToConnectionCommand({ ConnectionId, Data: 'hällo' }))
    await api.send(new PostToConnectionCommand({ ConnectionId, Data: new Uint8Array([0xff, 0]) }))
    await expect.poll(() => caller.heard).toEqual(['hällo', Buffer.from([0xff, 0])])
    const state = await api.send(new GetConnectionCommand({ ConnectionId }))
    expect(state).toMatchObject({
      ConnectedAt: expect.any(Date),
      LastActiveAt: expect.any(Date),
      Identity: { SourceIp: '127.0.0.1', UserAgent: 'me' },
    })
    await api.send(new DeleteConnectionCommand({ ConnectionId }))
    expect((await caller.closed).code).toBe(1000)
    await expect(api.send(new PostToConnectionCommand({ ConnectionId, Data: 'x' }))).rejects.toMatchObject({
      name: 'GoneException',
      $metadata: { httpStatusCode: 410 },
    })
  })

  test('a connection that never was is gone too, and what is no id is a bad request', async () => {
    const send = (ConnectionId: string): Promise<unknown> =>
      client('/dev').send(new GetConnectionCommand({ ConnectionId }))
    await expect(send('L0SM9cOFvHcCIhw=')).rejects.toMatchObject({ name: 'GoneException' })
    await expect(send('no id!')).rejects.toMatchObject({ name: 'BadRequestException' })
  })

  test('a message above 128 KiB is too large', async () => {
    await using caller = await Caller.open(`${served.url}/dev`)
    const ConnectionId = await caller.id()
    const send = (bytes: number): Promise<unknown> =>
      client('/dev').send(new PostToConnectionCommand({ ConnectionId, Data: 'a'.repeat(bytes) }))
    await send(128 * 1024)
    await expect(send(128 * 1024 + 1)).rejects.toMatchObject({ name: 'PayloadTooLargeException' })
    await expect.poll(() => caller.heard.map((text) => text.length)).toEqual([128 * 1024])
  })

  test('a client that reads nothing is refused more, so that memory stays', async () => {
    await using caller = await Caller.open(`${served.url}/dev`)
    const ConnectionId = await caller.id()
    caller.socket.pause()
    const api = client('/dev')
    const Data = 'a'.repeat(128 * 1024)
    const fill = async (): Promise<void> => {
      for (let sent = 0; sent < 400; sent += 1)
        await api.send(new PostToConnectionCommand({ ConnectionId, Data }))
    }
    await expect(fill()).rejects.toMatchObject({ name: 'LimitExceededException' })
    caller.socket.resume()
  })
})

/** The id of the newest connection of an API that one of its functions has heard of; in a mode, of those that asked for it. */
async function connectionOf(stage: string, name: string, mode?: string): Promise<string> {
  const isMeant = ({ name: by, event }: Recorded): boolean =>
    by === name && event.requestContext.stage === stage && event.queryStringParameters?.['mode'] === mode
  const found = async (): Promise<string | undefined> =>
    (await served.recorded()).findLast(isMeant)?.event.requestContext.connectionId
  await expect.poll(found).toBeDefined()
  return (await found()) ?? ''
}
