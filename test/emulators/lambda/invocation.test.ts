import { chmod, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { openFunction, prepareFunction, type Opened } from './harness.ts'

const open = (code: string, config: object = {}): Promise<Opened> =>
  openFunction({ 'app.mjs': code }, { handler: 'app.handler', ...config })

const errorOf = (value: unknown): { errorType: string; errorMessage: string; trace?: string[] } =>
  value as { errorType: string; errorMessage: string; trace?: string[] }

describe('how a handler answers', () => {
  const ANSWERS: Readonly<Record<string, readonly [handler: string, value: unknown]>> = {
    'with the promise it returns': ['async (event) => event.a + 1', 2],
    'with undefined, which is null': ['async () => {}', null],
    'with a value it returns at once': ['() => "now"', 'now'],
    'with null when it returns nothing and leaves nothing to wait for': ['(event) => { void event }', null],
    'through its callback': ['(event, context, callback) => callback(null, "called")', 'called'],
    'through a callback later': [
      '(event, context, callback) => { setTimeout(callback, 20, null, "later") }',
      'later',
    ],
    'through context.succeed': ['(event, context) => context.succeed("done")', 'done'],
    'only once': ['(event, context, callback) => { callback(null, 1); callback(null, 2) }', 1],
    'with any thenable': ['() => ({ then: (resolve) => resolve("thenable") })', 'thenable'],
  }
  for (const [how, [handler, value]] of Object.entries(ANSWERS)) {
    test(how, async () => {
      await using opened = await open(`export const handler = ${handler}`)
      expect((await opened.invoke({ a: 1 })).value).toEqual(value)
    })
  }

  test('a callback waits for an empty event loop, unless the context says otherwise', async () => {
    await using opened = await open(`
      export const handler = (event, context, callback) => {
        context.callbackWaitsForEmptyEventLoop = event.waits
        setTimeout(() => {}, 300)
        callback(null, 'sent')
      }`)
    await opened.invoke({ waits: false })
    const times: number[] = []
    for (const waits of [true, false]) {
      const from = performance.now()
      expect((await opened.invoke({ waits })).value).toBe('sent')
      times.push(performance.now() - from)
    }
    expect(times[0]).toBeGreaterThan(250)
    expect(times[1]).toBeLessThan(250)
  })

  test('a result that is no JSON is an error of the function, and the environment lives on', async () => {
    await using opened = await open(
      'let count = 0; export const handler = async (event) => event.big ? { a: 1n } : ++count',
    )
    expect((await opened.invoke()).value).toBe(1)
    const { value, functionError } = await opened.invoke({ big: true })
    expect(functionError).toBe('Unhandled')
    expect(errorOf(value).errorMessage).toMatch(/^Unable to stringify response body: .*BigInt/)
    expect((await opened.invoke()).value).toBe(2)
  })

  test('a payload that is no JSON is refused before it reaches the function', async () => {
    await using opened = await open('export const handler = async (event) => event')
    const context = { id: 'x', deadline: 0, signal: new AbortController().signal }
    await expect(opened.pool.invoke(Buffer.from('{'), context)).rejects.toMatchObject({
      code: 'FLEXI_BAD_REQUEST',
    })
    expect((await opened.pool.invoke(Buffer.alloc(0), context)).payload.toString()).toBe('{}')
  })
})

describe('how a handler fails', () => {
  test('a throw is its name, message and stack, which ends where our code begins', async () => {
    await using opened = await openFunction(
      {
        'app.ts':
          'class Missing extends Error {\n  override name = "Missing"\n}\nexport const handler = async (event: { id: number }) => {\n  throw new Missing(`no ${event.id}`)\n}\n',
      },
      { handler: 'app.handler' },
    )
    const { value, functionError, log } = await opened.invoke({ id: 7 })
    expect(functionError).toBe('Unhandled')
    expect(errorOf(value)).toMatchObject({ errorType: 'Missing', errorMessage: 'no 7' })
    expect(errorOf(value).trace).toEqual(['Missing: no 7', `    at handler (${opened.directory}/app.ts:5:9)`])
    expect(log).toMatch(/\tERROR\tInvoke Error\t\{"errorType":"Missing","errorMessage":"no 7"/)
    expect(opened.faults).toMatchObject([
      {
        kind: 'throw',
        name: 'Missing',
        frame: {
          place: { file: `${opened.directory}/app.ts`, line: 5, column: 9 },
          text: '  throw new Missing(`no ${event.id}`)',
        },
      },
    ])
  })

  test('what is thrown may be anything', async () => {
    await using opened = await open('export const handler = async (event) => { throw event.what }')
    expect((await opened.invoke({ what: 'text' })).value).toEqual({
      errorType: 'string',
      errorMessage: 'text',
      trace: [],
    })
    expect((await opened.invoke({ what: null })).value).toEqual({
      errorType: 'object',
      errorMessage: 'null',
      trace: [],
    })
  })

  test('an error through the callback keeps the environment', async () => {
    await using opened = await open(
      'let count = 0; export const handler = (event, context, callback) => { count += 1; event.fail ? callback(new TypeError("no")) : callback(null, count) }',
    )
    expect(errorOf((await opened.invoke({ fail: true })).value).errorType).toBe('TypeError')
    expect((await opened.invoke()).value).toBe(2)
  })

  const ENDS: Readonly<Record<string, readonly [code: string, errorType: string, errorMessage: RegExp]>> = {
    'process.exit(0)': [
      'process.exit(0)',
      'Runtime.ExitError',
      /^RequestId: [\w-]+ Error: Runtime exited without providing a reason$/,
    ],
    'process.exit(7)': [
      'process.exit(7)',
      'Runtime.ExitError',
      /^RequestId: [\w-]+ Error: Runtime exited with error: exit status 7$/,
    ],
    'a signal': [
      "process.kill(process.pid, 'SIGSEGV'); await new Promise((r) => setTimeout(r, 5000))",
      'Runtime.ExitError',
      /signal: segmentation fault$/,
    ],
    'an uncaught exception': [
      'setTimeout(() => { throw new TypeError("late") }, 5); await new Promise((r) => setTimeout(r, 5000))',
      'TypeError',
      /^late$/,
    ],
    'an unhandled rejection': [
      'Promise.reject(new TypeError("lost")); await new Promise((r) => setTimeout(r, 5000))',
      'Runtime.UnhandledPromiseRejection',
      /^TypeError: lost$/,
    ],
  }
  for (const [what, [code, errorType, errorMessage]] of Object.entries(ENDS)) {
    test(`${what} costs the environment, and the next invocation gets a new one`, async () => {
      await using opened = await open(
        `let count = 0; export const handler = async (event) => { count += 1; if (event.end) { ${code} } return count }`,
      )
      expect((await opened.invoke()).value).toBe(1)
      const { value, functionError } = await opened.invoke({ end: true })
      expect(functionError).toBe('Unhandled')
      expect(errorOf(value).errorType).toBe(errorType)
      expect(errorOf(value).errorMessage).toMatch(errorMessage)
      expect(opened.faults.map(({ kind }) => kind)).toEqual(['crash'])
      expect((await opened.invoke()).value).toBe(1)
    })
  }

  test('a promise that can never settle is told at once, and the environment lives on', async () => {
    await using opened = await open(
      'let count = 0; export const handler = (event) => event.stuck ? new Promise(() => {}) : ++count',
      { timeoutMs: 5_000 },
    )
    const from = performance.now()
    expect(errorOf((await opened.invoke({ stuck: true })).value).errorType).toBe('Runtime.NodeJsExit')
    expect(performance.now() - from).toBeLessThan(2_000)
    expect((await opened.invoke()).value).toBe(1)
  })

  test('a timeout ends the environment at its limit, in Lambda’s words', async () => {
    await using opened = await open(
      'let count = 0; export const handler = async (event) => { if (event.hang) for (;;); return ++count }',
      { timeoutMs: 400 },
    )
    const { value, log } = await opened.invoke({ hang: true })
    expect(value).toEqual({
      errorType: 'Sandbox.Timedout',
      errorMessage: expect.stringMatching(/^RequestId: [\w-]{36} Error: Task timed out after 0.40 seconds$/),
    })
    expect(log).toMatch(
      / Task timed out after 0.40 seconds\nEND RequestId: .*\nREPORT .*\tDuration: 400.00 ms\tBilled Duration: 400 ms\t.*Status: timeout\t\n$/,
    )
    expect(opened.faults.map(({ kind }) => kind)).toEqual(['timeout'])
    expect((await opened.invoke()).value).toBe(1)
  })

  test('a heap that grows without end is told as memory', async () => {
    await using opened = await open(
      'export const handler = async () => { const all = []; for (;;) all.push({ text: "x".repeat(10), more: [1, 2, 3] }) }',
      {
        timeoutMs: 20_000,
        memoryMb: 128,
      },
    )
    expect(errorOf((await opened.invoke()).value).errorType).toBe('Runtime.ExitError')
    expect(opened.faults).toMatchObject([
      { kind: 'memory', message: 'it used up its 128 MB of memory and was ended' },
    ])
  })

  test('a response of more than 6 MiB is refused, and one of exactly the limit is not', async () => {
    await using opened = await open('export const handler = async (event) => "x".repeat(event.bytes - 2)')
    expect((await opened.invoke({ bytes: 6_291_556 })).payload.length).toBe(6_291_556)
    expect((await opened.invoke({ bytes: 6_291_557 })).value).toEqual({
      errorType: 'Function.ResponseSizeTooLarge',
      errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).',
    })
    expect(opened.faults.map(({ kind }) => kind)).toEqual(['result'])
  })
})

describe('what a handler is given', () => {
  test('a context with Lambda’s names, whose methods work off the object', async () => {
    await using opened = await open(
      `export const handler = async (event, context) => {
        const { getRemainingTimeInMillis } = context
        return { ...JSON.parse(JSON.stringify(context)), left: getRemainingTimeInMillis(), keys: Object.keys(context), clientContext: context.clientContext }
      }`,
      { timeoutMs: 7_000, memoryMb: 256 },
    )
    const { value } = await opened.invoke({}, { clientContext: '{"custom":{"a":"ü\\t"}}' })
    expect(value).toMatchObject({
      functionName: 'tested',
      functionVersion: '$LATEST',
      memoryLimitInMB: '256',
      invokedFunctionArn: 'arn:aws:lambda:us-east-1:123456789012:function:tested',
      awsRequestId: expect.stringMatching(/^[\w-]{36}$/),
      logGroupName: '/aws/lambda/tested',
      logStreamName: expect.stringMatching(/^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][\da-f]{32}$/),
      callbackWaitsForEmptyEventLoop: true,
      clientContext: { custom: { a: 'ü\t' } },
    })
    const { left, keys } = value as { left: number; keys: string[] }
    expect(left).toBeGreaterThan(6_000)
    expect(left).toBeLessThanOrEqual(7_000)
    expect(keys).toEqual(
      expect.arrayContaining(['identity', 'succeed', 'fail', 'done', 'getRemainingTimeInMillis']),
    )
  })

  test('Lambda’s environment, and nothing of the server’s', async () => {
    process.env['FLEXI_TEST_SECRET'] = 'secret'
    await using opened = await open(
      'export const handler = async () => ({ env: process.env, cwd: process.cwd(), zone: new Date(0).getTimezoneOffset() })',
      {
        environment: { STAGE: 'dev', AWS_REGION: 'eu-central-1', _HANDLER: 'mine' },
        memoryMb: 256,
      },
    )
    const { env, cwd, zone } = (await opened.invoke()).value as {
      env: Record<string, string>
      cwd: string
      zone: number
    }
    expect(env).toMatchObject({
      STAGE: 'dev',
      _HANDLER: 'app.handler',
      AWS_REGION: 'eu-central-1',
      AWS_DEFAULT_REGION: 'eu-central-1',
      AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${process.versions.node.split('.')[0]}.x`,
      AWS_LAMBDA_FUNCTION_NAME: 'tested',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/tested',
      AWS_ENDPOINT_URL_LAMBDA: 'http://127.0.0.1:8069/_flexi/aws',
      LAMBDA_TASK_ROOT: opened.directory,
      TZ: ':UTC',
      FLEXI: '1',
      _X_AMZN_TRACE_ID: expect.stringMatching(/^Root=1-[\da-f]{8}-[\da-f]{24};Parent=[\da-f]{16};Sampled=0$/),
    })
    expect(env['AWS_ACCESS_KEY_ID']).toBeTruthy()
    expect(env).not.toHaveProperty('FLEXI_TEST_SECRET')
    expect(env).not.toHaveProperty('VITEST')
    expect(cwd).toBe(opened.directory)
    expect(zone).toBe(0)
    delete process.env['FLEXI_TEST_SECRET']
  })

  test.each([
    [undefined, 'flexi'],
    [true, 'mine'],
  ])('credentials of the shell reach a function only when asked (%s)', async (passCredentials, expected) => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'mine')
    onTestFinished(() => void vi.unstubAllEnvs())
    await using opened = await open('export const handler = async () => process.env.AWS_ACCESS_KEY_ID', {
      passCredentials,
    })
    expect((await opened.invoke()).value).toBe(expected)
  })

  test('AWS_LAMBDA_EXEC_WRAPPER starts the runtime, and one that cannot run is Runtime.ExitError', async () => {
    const files = {
      'app.mjs': 'export const handler = async () => process.env.WRAPPED',
      wrapper: '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
    }
    await using opened = await prepareFunction(files, {
      handler: 'app.handler',
      environment: { AWS_LAMBDA_EXEC_WRAPPER: './wrapper' },
    })
    await expect(opened.build()).rejects.toMatchObject({
      message: expect.stringContaining('Runtime.ExitError'),
    })
    await chmod(join(opened.directory, 'wrapper'), 0o755)
    await opened.build()
    expect((await opened.invoke()).value).toBe('yes')
  })
})

describe('what a handler prints', () => {
  test('the log of an invocation is START, its lines, END and REPORT; the first tells of the Init', async () => {
    await using opened = await open(
      'console.log("at init"); export const handler = async () => { console.warn("careful", { a: 1 }); console.error("two\\nlines"); return 1 }',
    )
    const first = (await opened.invoke()).log.split('\n')
    const id = /RequestId: (\S+)/.exec(first[0] ?? '')?.[1]
    expect(first[0]).toBe(`START RequestId: ${id} Version: $LATEST`)
    expect(first[1]).toMatch(
      new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z\\t${id}\\tWARN\\tcareful \\{ a: 1 \\}$`),
    )
    expect(first.slice(2, 5)).toEqual([
      expect.stringMatching(/\tERROR\ttwo$/),
      'lines',
      `END RequestId: ${id}`,
    ])
    expect(first[5]).toMatch(
      new RegExp(
        `^REPORT RequestId: ${id}\\tDuration: [\\d.]+ ms\\tBilled Duration: \\d+ ms\\tMemory Size: 128 MB\\tMax Memory Used: \\d+ MB\\tInit Duration: [\\d.]+ ms\\t$`,
      ),
    )
    expect((await opened.invoke()).log).not.toContain('Init Duration')
    const shown = opened.lines
      .filter(({ stream }) => stream !== 'platform')
      .map(({ stream, level, text }) => [stream, level, text])
    expect(shown.slice(0, 3)).toEqual([
      ['stdout', 'info', 'at init'],
      ['stderr', 'warn', 'careful { a: 1 }'],
      ['stderr', 'error', 'two\nlines'],
    ])
    expect(opened.lines.some(({ text }) => text.startsWith('INIT_START Runtime Version: nodejs:'))).toBe(true)
    expect(opened.lines.find(({ text }) => text.startsWith('careful'))?.requestId).toBe(id)
  })

  test('what goes past the console is in the log too', async () => {
    await using opened = await open(
      'export const handler = async () => { process.stdout.write("raw\\n"); return 1 }',
    )
    expect((await opened.invoke()).log).toContain('\nraw\n')
  })

  test('AWS_LAMBDA_LOG_FORMAT=JSON writes JSON, and the level filters', async () => {
    await using opened = await open(
      'export const handler = async () => { console.debug("no"); console.info("yes", 1); console.error(new TypeError("bad")); return 1 }',
      { environment: { AWS_LAMBDA_LOG_FORMAT: 'JSON', AWS_LAMBDA_LOG_LEVEL: 'INFO' } },
    )
    const lines = (await opened.invoke()).log
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as unknown)
    expect(lines).toMatchObject([
      { level: 'INFO', message: 'yes 1', requestId: expect.any(String), timestamp: expect.any(String) },
      { level: 'ERROR', errorType: 'TypeError', errorMessage: 'bad', stackTrace: expect.any(Array) },
    ])
  })
})

describe('streams', () => {
  test('an invocation of a streaming handler returns all of its bytes, prelude included', async () => {
    await using opened = await open(`
      export const handler = awslambda.streamifyResponse(async (event, stream, context) => {
        const out = awslambda.HttpResponseStream.from(stream, { statusCode: 201 })
        out.write(context.awsRequestId.length + ' ')
        out.write({ json: true })
        out.end()
      })`)
    const { payload, contentType } = await opened.invoke()
    expect(contentType).toBe('application/vnd.awslambda.http-integration-response')
    expect(Buffer.from(payload).toString()).toBe(`{"statusCode":201}${'\0'.repeat(8)}36 {"json":true}`)
  })

  test('a stream larger than the window arrives whole, whoever writes it', async () => {
    await using opened = await open(`
      import { pipeline } from 'node:stream/promises'
      import { Readable } from 'node:stream'
      export const handler = awslambda.streamifyResponse(async (event, stream) => {
        stream.setContentType('text/plain')
        await pipeline(Readable.from((function* () { for (let i = 0; i < 200; i += 1) yield Buffer.alloc(64 * 1024, i) })()), stream)
      })`)
    const { payload } = await opened.invoke()
    expect(payload.length).toBe(200 * 64 * 1024)
    expect(payload[64 * 1024 * 199]).toBe(199)
  })

  test('a stream that fails is an error of the function', async () => {
    await using opened = await open(
      'export const handler = awslambda.streamifyResponse(async (event, stream) => { stream.write("a"); throw new Error("midway") })',
    )
    const { value, functionError } = await opened.invoke()
    expect(functionError).toBe('Unhandled')
    expect(errorOf(value).errorMessage).toBe('midway')
  })

  test('a stream that nobody ends is ended once nothing can', async () => {
    await using opened = await open(
      'export const handler = awslambda.streamifyResponse(async (event, stream) => { stream.write("open") })',
    )
    expect(Buffer.from((await opened.invoke()).payload).toString()).toBe('open')
  })
})

test('what is written while running lies in .flexi, and is gone after disposal', async () => {
  const opened = await openFunction(
    { 'package.json': '{"type":"module"}', 'app.ts': 'export const handler = async () => import.meta.url' },
    { handler: 'app.handler' },
  )
  const builds = join(opened.directory, '.flexi/build/tested')
  expect(await readdir(builds)).toHaveLength(1)
  expect(await readFile(join(builds, (await readdir(builds))[0] ?? ''), 'utf8')).toContain(
    'sourceMappingURL=data:',
  )
  await opened.source[Symbol.asyncDispose]()
  expect(await readdir(builds)).toEqual([])
  await opened[Symbol.asyncDispose]()
})
