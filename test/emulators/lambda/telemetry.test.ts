import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { AddressInfo } from 'node:net'

import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'

import type { ApiAnswer, ApiRequest } from '../../../src/emulators/lambda/extensions/api-request.ts'
import { Telemetry, type TelemetryEvent } from '../../../src/emulators/lambda/telemetry/telemetry.ts'
import { extension, openExtended, type Extended } from './extension-harness.ts'

/** On a busy machine. */
const SOON = { timeout: 10_000 }

/** Subscribes, and notes each event that it gets. */
function subscriber(schemaVersion: string, path = '/2022-07-01/telemetry'): string {
  return extension(`
    const server = http.createServer((incoming, outgoing) => {
      let text = ''
      incoming.on('data', (chunk) => { text += chunk })
      incoming.on('end', () => {
        for (const event of JSON.parse(text)) note(event)
        outgoing.end()
      })
    })
    await new Promise((resolve) => server.listen(0, resolve))
    await register(['INVOKE', 'SHUTDOWN'])
    const answer = await subscribe({
      schemaVersion: '${schemaVersion}',
      types: ['platform', 'function', 'extension'],
      destination: { protocol: 'HTTP', URI: 'http://sandbox.localdomain:' + server.address().port },
      buffering: { timeoutMs: 25 },
    }, '${path}')
    console.log('subscribed ' + answer.status + ' ' + answer.body)
    for (;;) {
      const event = await next()
      if (event.eventType === 'SHUTDOWN') process.exit(0)
    }`)
}

const APP = {
  'app.js': `console.log('starts')
    exports.handler = async (event) => {
      console.log('says', event)
      if (event.fail) throw new TypeError('no')
      if (event.exit) process.exit(3)
      if (event.hang) await new Promise((resolve) => setTimeout(resolve, 60000))
      return { ok: true }
    }`,
}

async function events(fn: Extended): Promise<readonly TelemetryEvent[]> {
  return (await fn.notes()).map((line) => JSON.parse(line) as TelemetryEvent)
}

const typesOf = (all: readonly TelemetryEvent[]): readonly string[] => all.map(({ type }) => type)

/** An extension subscribes while the runtime starts: what it does itself comes at any time before the first event. */
const inOrder = (all: readonly TelemetryEvent[]): readonly string[] =>
  typesOf(all).filter((type) => type !== 'extension' && !type.endsWith('Subscription'))

test('tells a subscriber of the start, of each invocation, and of everything that is printed', async () => {
  await using fn = await openExtended(APP, { tells: subscriber('2022-12-13') })
  await fn.invoke({ a: 1 })
  await expect.poll(async () => typesOf(await events(fn)), SOON).toContain('platform.report')
  const all = await events(fn)
  expect(inOrder(all)).toEqual([
    'platform.initStart',
    'function',
    'platform.initRuntimeDone',
    'platform.extension',
    'platform.initReport',
    'platform.start',
    'function',
    'platform.runtimeDone',
    'platform.report',
  ])
  const record = (type: string): unknown => all.find((event) => event.type === type)?.record
  expect(record('platform.initStart')).toMatchObject({
    initializationType: 'on-demand',
    phase: 'init',
    functionName: 'tested',
    functionVersion: '$LATEST',
  })
  expect(record('platform.telemetrySubscription')).toEqual({
    name: 'tells',
    state: 'Subscribed',
    types: ['platform', 'function', 'extension'],
  })
  expect(record('platform.extension')).toEqual({
    name: 'tells',
    state: 'Ready',
    events: ['INVOKE', 'SHUTDOWN'],
  })
  expect(record('platform.initReport')).toMatchObject({
    status: 'success',
    metrics: { durationMs: expect.any(Number) },
  })
  expect(record('extension')).toBe('subscribed 200 "OK"\n')
  const start = record('platform.start') as { readonly requestId: string }
  const requestId = expect.stringMatching(/^[\da-f-]{36}$/)
  const tracing = {
    type: 'X-Amzn-Trace-Id',
    value: expect.stringContaining('Root='),
    spanId: expect.any(String),
  }
  expect(start).toEqual({ requestId, version: '$LATEST', tracing })
  expect(all.findLast(({ type }) => type === 'function')?.record).toMatch(
    new RegExp(`^\\d{4}-.*Z\\t${start.requestId}\\tINFO\\tsays \\{ a: 1 \\}\\n$`),
  )
  expect(record('platform.runtimeDone')).toEqual({
    requestId: start.requestId,
    status: 'success',
    metrics: { durationMs: expect.any(Number), producedBytes: 11 },
    spans: ['responseLatency', 'responseDuration', 'runtimeOverhead'].map((name) => ({
      name,
      start: expect.stringMatching(/^\d{4}-.*Z$/),
      durationMs: expect.any(Number),
    })),
    tracing,
  })
  expect(record('platform.report')).toEqual({
    requestId: start.requestId,
    status: 'success',
    metrics: {
      durationMs: expect.any(Number),
      billedDurationMs: expect.any(Number),
      memorySizeMB: 128,
      maxMemoryUsedMB: expect.any(Number),
      initDurationMs: expect.any(Number),
    },
    tracing,
  })
})

test('tells what kind of end an invocation came to, up to the last moment', async () => {
  await using fn = await openExtended(
    APP,
    { tells: subscriber('2025-01-29') },
    { handler: 'app.handler', timeoutMs: 800 },
  )
  await fn.invoke({ fail: true })
  await fn.invoke({ exit: true })
  await fn.invoke({ hang: true })
  const ends = async (): Promise<readonly unknown[]> =>
    (await events(fn))
      .filter(({ type }) => type === 'platform.runtimeDone' || type === 'platform.report')
      .map(({ type, record }) => [
        type,
        (record as { status: string }).status,
        (record as { errorType?: string }).errorType,
      ])
  await expect.poll(ends, SOON).toEqual([
    ['platform.runtimeDone', 'error', 'TypeError'],
    ['platform.report', 'error', 'TypeError'],
    ['platform.runtimeDone', 'failure', 'Runtime.ExitError'],
    ['platform.report', 'failure', 'Runtime.ExitError'],
    ['platform.runtimeDone', 'timeout', undefined],
    ['platform.report', 'timeout', 'Sandbox.Timedout'],
  ])
  const fault = (await events(fn)).find(({ type }) => type === 'platform.fault')
  expect(fault?.record).toMatch(
    /^RequestId: [\da-f-]{36} Error: Runtime exited with error: exit status 3\nRuntime.ExitError$/,
  )
})

test('speaks the older Logs API to who asks for it', async () => {
  await using fn = await openExtended(APP, { logs: subscriber('2021-03-18', '/2020-08-15/logs') })
  await fn.invoke()
  await expect.poll(async () => typesOf(await events(fn)), SOON).toContain('platform.report')
  const all = await events(fn)
  expect(typesOf(all)).toContain('platform.logsSubscription')
  expect(inOrder(all)).toEqual([
    'function',
    'platform.extension',
    'platform.start',
    'function',
    'platform.runtimeDone',
    'platform.end',
    'platform.report',
  ])
  expect(all.find(({ type }) => type === 'platform.start')?.record).toEqual({
    requestId: expect.any(String),
    version: '$LATEST',
  })
})

test('hands on as JSON what was logged as JSON', async () => {
  await using fn = await openExtended(
    APP,
    { tells: subscriber('2022-12-13') },
    {
      handler: 'app.handler',
      environment: { AWS_LAMBDA_LOG_FORMAT: 'JSON' },
    },
  )
  await fn.invoke({ a: 1 })
  await expect.poll(async () => typesOf(await events(fn)), SOON).toContain('platform.report')
  const [, line] = (await events(fn)).filter(({ type }) => type === 'function')
  expect(line?.record).toMatchObject({
    level: 'INFO',
    message: 'says { a: 1 }',
    requestId: expect.any(String),
  })
})

describe('the Telemetry API', () => {
  const open: { close(): unknown }[] = []
  afterEach(() => {
    for (const one of open.splice(0)) one.close()
  })

  function telemetry(retryDelaysMs: readonly number[] = []): Telemetry {
    const made = new Telemetry({ retryDelaysMs })
    open.push({ close: () => made.dispose() })
    return made
  }

  const request = (body: unknown, path = '/2022-07-01/telemetry'): ApiRequest => ({
    method: 'PUT',
    path,
    fields: new Map(),
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  })

  const good = (port: number, buffering: object = { timeoutMs: 25 }): object => ({
    schemaVersion: '2022-12-13',
    types: ['platform', 'function'],
    destination: { protocol: 'HTTP', URI: `http://sandbox.localdomain:${port}/here` },
    buffering,
  })

  /** Collects batches; answers with `statuses` first, then 200. */
  async function receiver(
    statuses: number[] = [],
  ): Promise<{ readonly port: number; readonly batches: unknown[][] }> {
    const batches: unknown[][] = []
    const server: Server = createServer((incoming, outgoing) => {
      let text = ''
      incoming.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      incoming.on('end', () => {
        outgoing.statusCode = statuses.shift() ?? 200
        if (outgoing.statusCode === 200) batches.push(JSON.parse(text) as unknown[])
        outgoing.end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push({ close: () => (server.close(), server.closeAllConnections()) })
    return { port: (server.address() as AddressInfo).port, batches }
  }

  const said = ({ body }: ApiAnswer): string => (JSON.parse(body) as { errorMessage: string }).errorMessage

  test.each([
    ['no JSON', '{', 'no JSON object'],
    ['an unknown version', { schemaVersion: '1999-01-01' }, 'schemaVersion should be one of'],
    ['no types', { types: [] }, 'types should not be empty'],
    ['an unknown type', { types: ['metrics'] }, 'type metrics is not supported'],
    ['another protocol', { destination: { protocol: 'UDP' } }, 'protocol should be HTTP or TCP'],
    [
      'no port',
      { destination: { protocol: 'HTTP', URI: 'http://sandbox.localdomain' } },
      'port is not provided',
    ],
    [
      'another host',
      { destination: { protocol: 'HTTP', URI: 'http://example.com:80801' } },
      'should be an http URL',
    ],
    [
      'a host of others',
      { destination: { protocol: 'HTTP', URI: 'http://example.com:8080' } },
      'host should be sandbox',
    ],
    ['a TCP port that is none', { destination: { protocol: 'TCP', port: 0 } }, 'between 1 and 65535'],
    ['too little buffer', { buffering: { maxItems: 999 } }, 'maxItems should be between 1000 and 10000'],
    ['too much time', { buffering: { timeoutMs: 30_001 } }, 'timeoutMs should be between 25 and 30000'],
    [
      'too many bytes',
      { buffering: { maxBytes: 1_048_577 } },
      'maxBytes should be between 262144 and 1048576',
    ],
  ])('refuses a subscription with %s', (_what, change, message) => {
    const body = typeof change === 'string' ? change : { ...good(8080), ...change }
    const answer = telemetry().subscribe(request(body), 'x')
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body)).toMatchObject({ errorType: 'ValidationError' })
    expect(said(answer)).toContain(message)
  })

  test('answers whatever a subscription is made of', () => {
    const api = telemetry()
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc
            .record({ types: fc.anything(), destination: fc.anything(), buffering: fc.anything() })
            .map((value) => JSON.stringify(value) ?? ''),
        ),
        (body) => {
          expect([200, 400]).toContain(api.subscribe(request(body), 'x').status)
        },
      ),
    )
  })

  test('takes no subscription once the start is over', () => {
    const api = telemetry()
    api.close()
    const answer = api.subscribe(request(good(8080)), 'x')
    expect(answer.status).toBe(403)
    expect(JSON.parse(answer.body)).toMatchObject({ errorType: 'Telemetry.SubscriptionClosed' })
  })

  test('takes an extension through one of both APIs only', () => {
    const api = telemetry()
    expect(api.subscribe(request(good(8080)), 'x').status).toBe(200)
    const answer = api.subscribe(
      request({ ...good(8080), schemaVersion: '2020-08-15' }, '/2020-08-15/logs'),
      'x',
    )
    expect(answer.status).toBe(400)
  })

  test('sends what happened before somebody subscribed, and nothing of another type', async () => {
    const { port, batches } = await receiver()
    const api = telemetry()
    api.emit('platform.initStart', { phase: 'init' })
    api.emit('extension', 'not asked for')
    api.subscribe(request(good(port)), 'x')
    api.emit('function', 'hello\n')
    await api.flush()
    expect(batches.flat()).toMatchObject([
      { type: 'platform.initStart', time: expect.stringMatching(/Z$/) },
      { type: 'platform.telemetrySubscription' },
      { type: 'function', record: 'hello\n' },
    ])
  })

  test('sends a batch when it is full, before its time', async () => {
    const { port, batches } = await receiver()
    const api = telemetry()
    api.subscribe(request(good(port, { maxItems: 1000, timeoutMs: 30_000 })), 'x')
    for (let count = 0; count < 2500; count += 1) api.emit('function', `${count}`)
    await expect.poll(() => batches.length, SOON).toBeGreaterThanOrEqual(2)
    expect(batches[0]).toHaveLength(1000)
    await api.flush()
    expect(batches.flat()).toHaveLength(2501)
  })

  test('sends a batch when its bytes are enough', async () => {
    const { port, batches } = await receiver()
    const api = telemetry()
    api.subscribe(request(good(port, { maxBytes: 262_144, timeoutMs: 30_000 })), 'x')
    for (let count = 0; count < 5; count += 1) api.emit('function', 'x'.repeat(100_000))
    await expect.poll(() => batches.length, SOON).toBeGreaterThanOrEqual(1)
    for (const batch of batches) expect(JSON.stringify(batch).length).toBeLessThan(262_144)
  })

  test('begins no batch more once it is given up, whoever still waits for a flush', async () => {
    const { port, batches } = await receiver()
    const api = telemetry()
    api.subscribe(request(good(port, { maxBytes: 262_144, timeoutMs: 30_000 })), 'x')
    for (let count = 0; count < 8; count += 1) api.emit('function', 'x'.repeat(100_000))
    const flushed = api.flush()
    api.dispose()
    await flushed
    expect(batches.length).toBeLessThanOrEqual(1)
  })

  test('sends a batch again that was not taken', async () => {
    const { port, batches } = await receiver([500, 503])
    const api = telemetry([1, 1, 1])
    api.subscribe(request(good(port)), 'x')
    api.emit('function', 'once')
    await api.flush()
    expect(batches.flat()).toMatchObject([{ type: 'platform.telemetrySubscription' }, { record: 'once' }])
  })

  test('tells a subscriber what it has missed', async () => {
    const { port, batches } = await receiver([500])
    const api = telemetry()
    api.subscribe(request(good(port)), 'x')
    await api.flush()
    api.emit('function', 'after')
    await api.flush()
    expect(batches.flat()).toMatchObject([
      { type: 'platform.logsDropped', record: { droppedRecords: 1, droppedBytes: expect.any(Number) } },
      { record: 'after' },
    ])
  })

  test('sends a line an event over TCP', async () => {
    let text = ''
    const server = createTcpServer((socket) =>
      socket.on('data', (chunk) => {
        text += chunk.toString()
      }),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push(server)
    const api = telemetry()
    const { port } = server.address() as AddressInfo
    api.subscribe(request({ ...good(0), destination: { protocol: 'TCP', port } }), 'x')
    api.emit('function', 'one')
    await api.flush()
    await expect.poll(() => text.split('\n').length, SOON).toBe(3)
    expect(JSON.parse(text.split('\n')[1] ?? '')).toMatchObject({ type: 'function', record: 'one' })
  })

  test('keeps nothing where nobody has subscribed', () => {
    const api = telemetry()
    api.close()
    expect(api.isHeard).toBe(false)
  })
})
