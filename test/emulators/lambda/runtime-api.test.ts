import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import { request, type IncomingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { Invocation, Outcome } from '../../../src/emulators/lambda/environments/environment.ts'
import type { MountedAnswer, MountedCall } from '../../../src/emulators/lambda/environments/mounted.ts'
import { RuntimeApi } from '../../../src/emulators/lambda/environments/runtime-api.ts'
import { startRuntimeProcess } from '../../../src/emulators/lambda/environments/runtime.ts'
import { prepareFunction } from './harness.ts'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const ARN = 'arn:aws:lambda:us-east-1:123456789012:function:tested'
const INVOCATION: Invocation = {
  id: 'id-1',
  event: '{"a":"ü"}',
  deadline: 1_700_000_000_000,
  trace: 'Root=1-a-b',
  clientContext: '{"c":1}',
}

describe('the Runtime API', () => {
  let api: RuntimeApi
  let address = ''
  let seen: string[]
  let outcomes: Outcome[]

  beforeEach(async () => {
    seen = []
    outcomes = []
    api = new RuntimeApi(ARN, {
      ready: () => seen.push('ready'),
      idle: () => seen.push('idle'),
      notice: () => undefined,
      initError: (payload) => seen.push(`init error ${payload.toString()}`),
      streamStarted: (type) => seen.push(`stream ${type}`),
      streamChunk(bytes, taken) {
        seen.push(`chunk ${bytes.toString()}`)
        taken()
      },
      done: (outcome) => outcomes.push(outcome),
    })
    address = await api.listen()
  })
  afterEach(() => api.close())

  function call(
    method: string,
    path: string,
    {
      body = '',
      headers = {},
      trailers,
    }: { body?: string | Buffer; headers?: Record<string, string>; trailers?: Record<string, string> } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const [host, port] = address.split(':')
      const outgoing = request(
        { host, port, method, path: path.startsWith('/') ? path : `/2018-06-01/runtime/${path}`, headers },
        (incoming) => {
          const chunks: Buffer[] = []
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
          incoming.on('end', () =>
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              body: Buffer.concat(chunks).toString(),
            }),
          )
        },
      )
      outgoing.on('error', reject)
      if (trailers !== undefined) outgoing.addTrailers(trailers)
      outgoing.end(body)
    })
  }

  async function connected(): Promise<Socket> {
    const [host = '', port] = address.split(':')
    const socket = connect(Number(port), host)
    await once(socket, 'connect')
    return socket
  }

  const textOf = async (socket: Socket): Promise<string> => Buffer.concat(await socket.toArray()).toString()

  const response = (id: string, body: string): string =>
    `POST /2018-06-01/runtime/invocation/${id}/response HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`

  const next = (): Promise<Answer> => call('GET', 'invocation/next')

  const running = async (): Promise<void> => {
    api.invoke(INVOCATION)
    await next()
  }

  test('the first poll ends Init, and waits for an invocation', async () => {
    const polled = next()
    await expect.poll(() => seen).toEqual(['ready'])
    api.invoke(INVOCATION)
    const { status, headers, body } = await polled
    expect(status).toBe(200)
    expect(body).toBe('{"a":"ü"}')
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': 'id-1',
      'lambda-runtime-deadline-ms': '1700000000000',
      'lambda-runtime-invoked-function-arn': ARN,
      'lambda-runtime-trace-id': 'Root=1-a-b',
      'lambda-runtime-client-context': '{"c":1}',
    })
  })

  test('an invocation that comes first waits for the poll; polling again gives the same one', async () => {
    api.invoke(INVOCATION)
    expect((await next()).body).toBe('{"a":"ü"}')
    expect((await next()).body).toBe('{"a":"ü"}')
  })

  test('a response is accepted and is the result, byte for byte', async () => {
    await running()
    expect(await call('POST', 'invocation/id-1/response', { body: '"done"' })).toMatchObject({
      status: 202,
      body: '{"status":"OK"}\n',
    })
    expect(outcomes).toEqual([{ kind: 'result', payload: Buffer.from('"done"') }])
  })

  test('an error is the caller’s, untouched, and the runtime goes on', async () => {
    await running()
    expect((await call('POST', 'invocation/id-1/error', { body: '{"errorType":"X","more":1}' })).status).toBe(
      202,
    )
    expect(outcomes).toMatchObject([{ kind: 'error', payload: Buffer.from('{"errorType":"X","more":1}') }])
    api.invoke({ ...INVOCATION, id: 'id-2' })
    expect((await next()).headers['lambda-runtime-aws-request-id']).toBe('id-2')
  })

  test('an init error is told once', async () => {
    expect((await call('POST', 'init/error', { body: '{"errorType":"X"}' })).status).toBe(202)
    expect(seen).toEqual(['init error {"errorType":"X"}'])
    expect((await call('POST', 'init/error')).status).toBe(403)
    expect((await next()).status).toBe(403)
  })

  const WRONG: Readonly<
    Record<
      string,
      readonly [path: string, before: 'started' | 'running' | 'answered', status: number, type: string]
    >
  > = {
    'a response before any invocation': [
      'invocation/id-1/response',
      'started',
      403,
      'InvalidStateTransition',
    ],
    'an error before any invocation': ['invocation/id-1/error', 'started', 403, 'InvalidStateTransition'],
    'a response to another invocation': ['invocation/other/response', 'running', 400, 'InvalidRequestID'],
    'an error of another invocation': ['invocation/other/error', 'running', 400, 'InvalidRequestID'],
    'a second response': ['invocation/id-1/response', 'answered', 403, 'InvalidStateTransition'],
    'an init error while running': ['init/error', 'running', 403, 'InvalidStateTransition'],
  }
  for (const [what, [path, before, status, type]] of Object.entries(WRONG)) {
    test(`${what} is refused`, async () => {
      if (before !== 'started') await running()
      if (before === 'answered') await call('POST', 'invocation/id-1/response', { body: '1' })
      const answer = await call('POST', path, { body: '{}' })
      expect([answer.status, (JSON.parse(answer.body) as { errorType: string }).errorType]).toEqual([
        status,
        type,
      ])
    })
  }

  test('a body above the limit is 413 to the runtime and an error to the caller', async () => {
    await running()
    expect((await call('POST', 'invocation/id-1/response', { body: Buffer.alloc(6_291_557) })).status).toBe(
      413,
    )
    expect(outcomes).toEqual([{ kind: 'too-large' }])
    api.invoke({ ...INVOCATION, id: 'id-2' })
    expect((await next()).status).toBe(200)
  })

  test('a body of exactly the limit is a result', async () => {
    await running()
    expect((await call('POST', 'invocation/id-1/response', { body: Buffer.alloc(6_291_556) })).status).toBe(
      202,
    )
    expect(outcomes).toMatchObject([{ kind: 'result' }])
  })

  const STREAMING = {
    'lambda-runtime-function-response-mode': 'streaming',
    'content-type': 'text/x',
    'transfer-encoding': 'chunked',
  }

  test('a stream is passed on in chunks', async () => {
    await running()
    expect((await call('POST', 'invocation/id-1/response', { body: 'abc', headers: STREAMING })).status).toBe(
      202,
    )
    expect(seen.slice(1)).toEqual(['stream text/x', 'chunk abc'])
    expect(outcomes).toEqual([{ kind: 'streamed', error: undefined }])
  })

  test('a stream that breaks says so in its trailers', async () => {
    await running()
    const names = 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body'
    const error = Buffer.from('{"errorType":"X"}')
    await call('POST', 'invocation/id-1/response', {
      body: 'abc',
      headers: { ...STREAMING, trailer: names },
      trailers: {
        'Lambda-Runtime-Function-Error-Type': 'X',
        'Lambda-Runtime-Function-Error-Body': error.toString('base64'),
      },
    })
    expect(outcomes).toEqual([{ kind: 'streamed', error }])
  })

  test('trailers that are announced mean a stream, but for JSON, as Go’s client sends it', async () => {
    const trailer = 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body'
    const chunked = { 'transfer-encoding': 'chunked', trailer }
    await running()
    await call('POST', 'invocation/id-1/response', {
      body: 'abc',
      headers: { ...chunked, 'content-type': 'application/octet-stream' },
    })
    await running()
    await call('POST', 'invocation/id-1/response', {
      body: '{}',
      headers: { ...chunked, 'content-type': 'application/json' },
    })
    await running()
    await call('POST', 'invocation/id-1/response', {
      body: '{',
      headers: { ...chunked, 'content-type': 'application/json' },
      trailers: {
        'Lambda-Runtime-Function-Error-Type': 'X',
        'Lambda-Runtime-Function-Error-Body': Buffer.from('{"errorType":"X"}').toString('base64'),
      },
    })
    expect(outcomes).toEqual([
      { kind: 'streamed', error: undefined },
      { kind: 'result', payload: Buffer.from('{}') },
      { kind: 'error', payload: Buffer.from('{"errorType":"X"}') },
    ])
  })

  test('another response mode is refused', async () => {
    await running()
    const answer = await call('POST', 'invocation/id-1/response', {
      body: '1',
      headers: { 'lambda-runtime-function-response-mode': 'telepathy' },
    })
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      400,
      { errorMessage: 'Invalid function response mode', errorType: 'InvalidFunctionResponseMode' },
    ])
    expect(outcomes).toMatchObject([{ kind: 'error' }])
  })

  test('a response that is cut is an error', async () => {
    await running()
    await new Promise<void>((resolve) => {
      const [host, port] = address.split(':')
      const outgoing = request({
        host,
        port,
        method: 'POST',
        path: '/2018-06-01/runtime/invocation/id-1/response',
        headers: { 'content-length': '10' },
      })
      outgoing.on('error', () => resolve())
      outgoing.write('abc', () => outgoing.destroy())
    })
    await expect.poll(() => outcomes.map(({ kind }) => kind)).toEqual(['error'])
  })

  test('a response that is cut while its sender still listens is told so', async () => {
    await running()
    const socket = await connected()
    const head = 'POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc'
    socket.end(head)
    const answer = await textOf(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain(
      '{"errorMessage":"HTTP request detected as truncated","errorType":"TruncatedHTTPRequest"}',
    )
    expect(outcomes).toMatchObject([{ kind: 'error', errorType: 'Runtime.TruncatedResponse' }])
  })

  test('a response and the next poll may come in one write, or byte by byte', async () => {
    for (const size of [1_000, 1]) {
      outcomes.length = 0
      await running()
      api.invoke({ ...INVOCATION, id: 'id-2' })
      const socket = await connected()
      const bytes = `${response('id-1', '"one"')}GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n${response('id-2', '"two"')}GET /2018-06-01/ping HTTP/1.1\r\nConnection: close\r\n\r\n`
      for (let at = 0; at < bytes.length; at += size) socket.write(bytes.slice(at, at + size))
      const answer = await textOf(socket)
      expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
        '202',
        '200',
        '202',
        '200',
      ])
      expect(answer).toContain('Lambda-Runtime-Aws-Request-Id: id-2')
      expect(outcomes).toEqual([
        { kind: 'result', payload: Buffer.from('"one"') },
        { kind: 'result', payload: Buffer.from('"two"') },
      ])
    }
  })

  test('requests that come behind a poll wait for its answer', async () => {
    const socket = await connected()
    socket.write(
      'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\nGET /2018-06-01/ping HTTP/1.1\r\nConnection: close\r\n\r\n',
    )
    await expect.poll(() => seen).toEqual(['ready'])
    api.invoke(INVOCATION)
    const answer = await textOf(socket)
    expect(answer.indexOf('id-1')).toBeGreaterThan(-1)
    expect(answer.indexOf('pong')).toBeGreaterThan(answer.indexOf('id-1'))
  })

  test('a client that waits to be asked for its body is asked', async () => {
    await running()
    const socket = await connected()
    socket.write(
      'POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n',
    )
    const first = await new Promise<string>((resolve) => {
      socket.once('data', (bytes: Buffer) => resolve(bytes.toString()))
    })
    expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('{}')
    expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 202 /)
  })

  test('an event waits for the next poll when the one before has left', async () => {
    const socket = await connected()
    socket.write('GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n')
    await expect.poll(() => seen).toEqual(['ready'])
    socket.end()
    await textOf(socket)
    api.invoke(INVOCATION)
    expect((await next()).headers['lambda-runtime-aws-request-id']).toBe('id-1')
  })

  test('an invocation is over with the poll that follows its response', async () => {
    await running()
    await call('POST', 'invocation/id-1/response', { body: '1' })
    expect(seen).toEqual(['ready'])
    void next().catch(() => undefined)
    await expect.poll(() => seen).toEqual(['ready', 'idle'])
  })

  const TYPES: Readonly<Record<string, string>> = {
    'Runtime.Wrong': 'Runtime.Wrong',
    'Function.Wrong': 'Function.Wrong',
    'Function.wrong': 'Function.Unknown',
    'Function.Wrong2': 'Function.Unknown',
    MyError: 'Runtime.Unknown',
  }
  for (const [told, kept] of Object.entries(TYPES)) {
    test(`an error that is told as ${told} is ${kept} to the platform`, async () => {
      await running()
      const headers = {
        'lambda-runtime-function-error-type': told,
        'lambda-runtime-function-xray-error-cause': told === 'MyError' ? '{"paths":[]}' : '{"paths":["a"]}',
      }
      await call('POST', 'invocation/id-1/error', { body: '{}', headers })
      const cause = told === 'MyError' ? undefined : '{"paths":["a"]}'
      expect(outcomes).toEqual([{ kind: 'error', payload: Buffer.from('{}'), errorType: kept, cause }])
    })
  }

  test('text of any script reaches the client context, in one line', async () => {
    api.invoke({ ...INVOCATION, clientContext: '{\r\n"c":"ü→😀"}' })
    const { headers } = await next()
    const context = Buffer.from(String(headers['lambda-runtime-client-context']), 'latin1').toString()
    expect(JSON.parse(context)).toEqual({ c: 'ü→😀' })
  })

  describe('with another API mounted', () => {
    test('gives it requests with their bodies, and sends its answers whenever they come', async () => {
      let send: MountedAnswer | undefined
      const calls: MountedCall[] = []
      api.mount('/2020-01-01/extension/', (one, answer) => {
        calls.push(one)
        if (one.path.endsWith('/next')) send = answer
        else answer(200, { 'X-Id': '7' }, 'registered')
      })
      const register = { body: '{"events":[]}', headers: { 'Lambda-Extension-Name': 'a' } }
      expect(await call('POST', '/2020-01-01/extension/register?x=1', register)).toMatchObject({
        status: 200,
        headers: { 'x-id': '7', 'content-length': '10' },
        body: 'registered',
      })
      expect(calls).toMatchObject([
        { method: 'POST', path: '/2020-01-01/extension/register?x=1', body: Buffer.from('{"events":[]}') },
      ])
      expect(calls[0]?.fields.get('lambda-extension-name')).toBe('a')
      const polled = call('GET', '/2020-01-01/extension/event/next')
      await expect.poll(() => send).toBeDefined()
      send?.(200, {}, '{}')
      send?.(500, {}, 'twice')
      expect(await polled).toMatchObject({ status: 200, body: '{}' })
      expect(seen).toEqual([])
    })

    test('tells it of a client that leaves, and drops what it says then', async () => {
      let left = false
      let send: MountedAnswer | undefined
      api.mount('/other', (one, answer) => {
        one.onClosed = () => {
          left = true
        }
        send = answer
      })
      const socket = await connected()
      socket.write('GET /other HTTP/1.1\r\n\r\n')
      await expect.poll(() => send).toBeDefined()
      socket.destroy()
      await expect.poll(() => left).toBe(true)
      send?.(200, {}, 'late')
      expect((await call('GET', '/2018-06-01/ping')).status).toBe(200)
    })
  })

  test('anything else is not found', async () => {
    expect(await call('GET', '/2018-06-01/ping')).toMatchObject({ status: 200, body: 'pong' })
    for (const [method, path] of [
      ['GET', '/'],
      ['POST', 'invocation/next'],
      ['PUT', 'invocation/id-1/response'],
      ['GET', 'restore/next'],
    ] as const) {
      expect((await call(method, path)).status).toBe(404)
    }
  })
})

describe('a custom runtime', () => {
  /** A bootstrap in the language at hand; the protocol is all it knows. */
  const BOOTSTRAP = `#!/usr/bin/env node
const base = 'http://' + process.env.AWS_LAMBDA_RUNTIME_API + '/2018-06-01/runtime/'
console.log('custom runtime of ' + process.env._HANDLER)
while (true) {
  const next = await fetch(base + 'invocation/next')
  const id = next.headers.get('lambda-runtime-aws-request-id')
  const event = await next.json()
  if (event.exit) process.exit(event.exit)
  await fetch(base + 'invocation/' + id + '/response', { method: 'POST', body: JSON.stringify({ got: event, execution: process.env.AWS_EXECUTION_ENV }) })
}
`
  test('is any executable called bootstrap', async () => {
    const config = { handler: 'my.handler', options: { runtime: 'provided.al2023' } }
    await using opened = await prepareFunction(
      { bootstrap: BOOTSTRAP, 'package.json': '{"type":"module"}' },
      config,
    )
    await expect(opened.build()).rejects.toMatchObject({
      code: 'FLEXI_BUILD',
      faults: [{ hint: expect.stringContaining('chmod +x') }],
    })
    await chmod(join(opened.directory, 'bootstrap'), 0o755)
    await opened.build()
    expect((await opened.invoke({ a: 1 })).value).toEqual({ got: { a: 1 } })
    expect(opened.lines.map(({ text }) => text)).toContain('custom runtime of my.handler')
    expect((await opened.invoke({ exit: 4 })).value).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringContaining('exit status 4'),
    })
    expect((await opened.invoke({ b: 2 })).value).toEqual({ got: { b: 2 } })
  })

  test('that is not there says how to build one', async () => {
    await using opened = await prepareFunction({}, { handler: 'x', options: { runtime: 'provided.al2023' } })
    await expect(opened.build()).rejects.toMatchObject({
      code: 'FLEXI_BUILD',
      faults: [{ hint: expect.stringContaining('go build') }],
    })
  })

  test('that ends in Init is an init error', async () => {
    await using opened = await prepareFunction(
      { bootstrap: '#!/bin/sh\necho early >&2\nexit 9\n' },
      { handler: 'x', options: { runtime: 'provided.al2' } },
    )
    await chmod(join(opened.directory, 'bootstrap'), 0o755)
    await expect(opened.build()).rejects.toMatchObject({ code: 'FLEXI_FUNCTION_INIT' })
    expect(opened.faults).toMatchObject([
      { kind: 'init', message: 'Runtime exited with error: exit status 9' },
    ])
    expect(opened.lines.map(({ text }) => text)).toContain('early')
  })
})

test('a spare process that cannot be started is none, and nobody has to wait for it', async () => {
  await using spare = startRuntimeProcess({
    command: 'sh',
    args: [],
    cwd: '/',
    environment: { NOBODY_STARTS_WITH: '\0' },
    functionArn: ARN,
    confined: { confinement: undefined, readable: [] },
    speaksSockets: false,
  })
  await expect.poll(() => spare.alive).toBe(false)
})
