import { randomBytes } from 'node:crypto'
import { request } from 'node:http'

import {
  InvokeCommand,
  InvokeWithResponseStreamCommand,
  LambdaServiceException,
  type InvokeCommandInput,
  type InvokeWithResponseStreamCommandInput,
  type InvokeWithResponseStreamResponseEvent,
} from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { json, serveProject, text, type ApiProject } from './api-project.ts'

let project: ApiProject
beforeAll(async () => {
  project = await serveProject(
    {
      echo: { handler: 'app.echo' },
      context: { handler: 'app.context' },
      fails: { handler: 'app.fails' },
      slow: { handler: 'app.slow', timeout: 1 },
      exits: { handler: 'app.exits' },
      talks: { handler: 'app.talks' },
      big: { handler: 'app.big' },
      stream: { handler: 'stream.handler' },
      broken: { handler: 'stream.broken' },
      clock: { handler: 'stream.clock' },
      missing: { handler: 'missing.handler' },
      exitsEarly: { handler: 'early.handler' },
      calls: { handler: 'calls.handler', memory: 256, timeout: 15 },
      remembers: { handler: 'remembers.handler' },
    },
    {
      'app.js': `
        exports.echo = async (event) => event
        exports.context = async (event, context) => ({ id: context.awsRequestId, client: context.clientContext,
          trace: process.env._X_AMZN_TRACE_ID, left: context.getRemainingTimeInMillis() })
        exports.fails = async () => { throw new TypeError('no such luck') }
        exports.slow = () => new Promise((resolve) => setTimeout(resolve, 5000))
        exports.exits = async () => process.exit(3)
        exports.talks = async () => { for (let line = 0; line < 300; line += 1) console.log('line ' + line + ' ü'); return 1 }
        exports.big = async () => 'x'.repeat(7 * 1024 * 1024)`,
      'stream.js': `
        const { setTimeout: sleep } = require('node:timers/promises')
        exports.handler = awslambda.streamifyResponse(async (event, stream) => {
          for (const part of event.parts ?? []) { stream.write(part); await sleep(event.pauseMs ?? 0) }
          if (event.bytes) stream.write(Buffer.alloc(event.bytes, 120))
          stream.end()
        })
        exports.clock = awslambda.streamifyResponse(async (event, stream) => {
          for (let count = 0; count < 3; count += 1) { stream.write(String(performance.timeOrigin + performance.now())); await sleep(20) }
          stream.end()
        })
        exports.broken = awslambda.streamifyResponse(async (event, stream) => {
          stream.write('half'); await sleep(20); throw new RangeError('the other half')
        })`,
      'missing.js': `require('not-installed-anywhere')`,
      'early.js': `process.exit(4)`,
      'calls.mjs': `
        import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
        const client = new LambdaClient({})
        export const handler = async (event) => {
          const { Payload, StatusCode } = await client.send(new InvokeCommand({ FunctionName: event.name, Payload: JSON.stringify(event.payload) }))
          return { StatusCode, answer: JSON.parse(Buffer.from(Payload).toString()), endpoint: process.env.AWS_ENDPOINT_URL_LAMBDA }
        }`,
      'remembers.js': `
        const { appendFileSync } = require('node:fs')
        exports.handler = async (event, context) => {
          appendFileSync(__dirname + '/seen.txt', event.word + ' ' + context.awsRequestId + '\\n')
          if (event.fails) throw new Error('again')
        }`,
    },
  )
})
afterAll(() => project?.[Symbol.asyncDispose]())

const invoke = (input: InvokeCommandInput) => project.client.send(new InvokeCommand(input))
const refused = async (input: InvokeCommandInput): Promise<LambdaServiceException> => {
  const error: unknown = await invoke(input).catch((thrown: unknown) => thrown)
  if (error instanceof LambdaServiceException) return error
  throw new Error(`no refusal: ${String(error)}`)
}

describe('Invoke', () => {
  test('answers what the handler returns, with the version that ran and the request id that the handler saw', async () => {
    const answer = await invoke({ FunctionName: 'context' })
    expect(answer).toMatchObject({ StatusCode: 200, ExecutedVersion: '$LATEST' })
    expect(answer.FunctionError).toBeUndefined()
    expect(answer.LogResult).toBeUndefined()
    expect(json(answer.Payload)).toMatchObject({ id: answer.$metadata.requestId })
  })

  test.each([
    'echo',
    'echo:$LATEST',
    '123456789012:function:echo',
    'function:echo',
    'arn:aws:lambda:us-east-1:123456789012:function:echo',
    'arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST',
    // Code often has a whole ARN in its variables, and what runs here stands for every deployment of it.
    'arn:aws-us-gov:lambda:us-gov-west-1:999999999999:function:echo',
  ])('finds %s', async (FunctionName) => {
    const { Payload } = await invoke({ FunctionName, Payload: '[1]' })
    expect(text(Payload)).toBe('[1]')
  })

  test('finds a name however much of it is percent-encoded', async () => {
    for (const name of [
      '%65cho',
      'echo%3A%24LATEST',
      'arn:aws:lambda:us-east-1:123456789012:function:echo',
    ]) {
      const answer = await project.ask(`/2015-03-31/functions/${name}/invocations?Qualifier=%24LATEST`, {
        method: 'POST',
        body: '"hi"',
      })
      expect([answer.status, await answer.text()]).toEqual([200, '"hi"'])
    }
  })

  test('an empty payload is an empty event', async () => {
    expect(text((await invoke({ FunctionName: 'echo' })).Payload)).toBe('{}')
  })

  test('a handler that returns nothing answers null', async () => {
    expect(text((await invoke({ FunctionName: 'remembers', Payload: '{"word":"sync"}' })).Payload)).toBe(
      'null',
    )
  })

  test('DryRun answers 204 and runs nothing', async () => {
    const answer = await invoke({
      FunctionName: 'remembers',
      InvocationType: 'DryRun',
      Payload: '{"word":"dry"}',
    })
    expect(answer.StatusCode).toBe(204)
    expect(await seen()).not.toContain('dry')
  })

  test('Event answers 202 without waiting, and the function runs with the same request id', async () => {
    const answer = await invoke({
      FunctionName: 'remembers',
      InvocationType: 'Event',
      Payload: '{"word":"later"}',
    })
    expect(answer.StatusCode).toBe(202)
    expect(text(answer.Payload)).toBe('')
    await expect.poll(seen).toContain(`later ${answer.$metadata.requestId}`)
  })

  test('Event runs a function that fails three times, each with the same id, and then says that the event is lost', async () => {
    const { $metadata } = await invoke({
      FunctionName: 'remembers',
      InvocationType: 'Event',
      Payload: '{"word":"fails","fails":true}',
    })
    const line = `fails ${$metadata.requestId}`
    await expect
      .poll(async () => (await seen()).split('\n').filter((one) => one === line).length, { timeout: 10_000 })
      .toBe(3)
    const lost = () =>
      project.events.filter((event) => event.event === 'warning').map(({ message }) => message)
    await expect
      .poll(lost)
      .toContain(`the event ${$metadata.requestId} for remembers is dropped: every attempt failed`)
  })

  test('LogType Tail adds the last 4096 bytes of the log, cut wherever that is', async () => {
    const { LogResult } = await invoke({ FunctionName: 'talks', LogType: 'Tail' })
    const tail = Buffer.from(LogResult ?? '', 'base64')
    expect(tail.length).toBe(4096)
    expect(tail.toString()).toMatch(
      /line 299 ü\nEND RequestId: \S+\nREPORT RequestId: .*\tMax Memory Used: \d+ MB\t.*\n$/,
    )
    const short = await invoke({ FunctionName: 'echo', LogType: 'Tail' })
    expect(Buffer.from(short.LogResult ?? '', 'base64').toString()).toMatch(
      /^START RequestId: \S+ Version: \$LATEST\n/,
    )
  })

  test('hands on the client context and the trace', async () => {
    const ClientContext = Buffer.from('{"custom":{"a":"ü"}}').toString('base64')
    const { Payload } = await invoke({ FunctionName: 'context', ClientContext })
    expect(json(Payload)).toMatchObject({ client: { custom: { a: 'ü' } } })
    const trace = 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1'
    const answer = await project.ask('/2015-03-31/functions/context/invocations', {
      method: 'POST',
      headers: { 'X-Amzn-Trace-Id': trace },
    })
    expect(await answer.json()).toMatchObject({ trace })
  })

  test('a function that fails is status 200 with the function error, and its own words', async () => {
    const answer = await invoke({ FunctionName: 'fails' })
    expect(answer).toMatchObject({ StatusCode: 200, FunctionError: 'Unhandled' })
    expect(json(answer.Payload)).toMatchObject({
      errorType: 'TypeError',
      errorMessage: 'no such luck',
      trace: expect.arrayContaining(['TypeError: no such luck']),
    })
  })

  test('a time-out, an exit, and an exit while the code is loaded name the request', async () => {
    const answers = await Promise.all(
      ['slow', 'exits', 'exitsEarly'].map(async (FunctionName) => {
        const { Payload, FunctionError, $metadata } = await invoke({ FunctionName })
        const payload = json(Payload) as { errorType: string; errorMessage: string }
        return [
          FunctionError,
          payload.errorType,
          payload.errorMessage.replace($metadata.requestId ?? '?', 'ID'),
        ]
      }),
    )
    expect(answers).toEqual([
      ['Unhandled', 'Sandbox.Timedout', 'RequestId: ID Error: Task timed out after 1.00 seconds'],
      ['Unhandled', 'Runtime.ExitError', 'RequestId: ID Error: Runtime exited with error: exit status 3'],
      ['Unhandled', 'Runtime.ExitError', 'RequestId: ID Error: Runtime exited with error: exit status 4'],
    ])
  })

  test('a module that is not there is the function’s own error', async () => {
    const { Payload, FunctionError } = await invoke({ FunctionName: 'missing' })
    expect(FunctionError).toBe('Unhandled')
    expect(json(Payload)).toMatchObject({
      errorType: 'Runtime.ImportModuleError',
      errorMessage: expect.stringContaining("Cannot find module 'not-installed-anywhere'"),
    })
  })

  test('a result beyond the limit is an error, and the environment lives on', async () => {
    const { Payload, FunctionError } = await invoke({ FunctionName: 'big' })
    expect(FunctionError).toBe('Unhandled')
    expect(json(Payload)).toEqual({
      errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).',
      errorType: 'Function.ResponseSizeTooLarge',
    })
  })

  test('collects what a handler streams, and holds it to the limit of a result', async () => {
    const payload = { parts: ['one ', 'two'] }
    const { Payload } = await invoke({ FunctionName: 'stream', Payload: JSON.stringify(payload) })
    expect(text(Payload)).toBe('one two')
    const big = await invoke({ FunctionName: 'stream', Payload: '{"bytes":7000000}' })
    expect(json(big.Payload)).toMatchObject({ errorType: 'Function.ResponseSizeTooLarge' })
  })

  test('passes bytes on as they are, up to 6 MiB', async () => {
    const event = JSON.stringify(randomBytes(4_700_000).toString('base64'))
    expect(text((await invoke({ FunctionName: 'echo', Payload: event })).Payload) === event).toBe(true)
  })

  test('a function invokes another with the plain SDK, which finds flexi by itself', async () => {
    const { Payload } = await invoke({
      FunctionName: 'calls',
      Payload: '{"name":"echo","payload":{"a":[1]}}',
    })
    expect(json(Payload)).toEqual({ StatusCode: 200, answer: { a: [1] }, endpoint: project.endpoint })
  })

  test('a function that invokes itself gets another environment', async () => {
    const inner = { name: 'echo', payload: 7 }
    const { Payload } = await invoke({
      FunctionName: 'calls',
      Payload: JSON.stringify({ name: 'calls', payload: inner }),
    })
    expect(json(Payload)).toMatchObject({ answer: { answer: 7 } })
  })
})

describe('what Invoke refuses', () => {
  test.each([
    ['nobody', 'arn:aws:lambda:us-east-1:123456789012:function:nobody:$LATEST'],
    ['nobody:live', 'arn:aws:lambda:us-east-1:123456789012:function:nobody:live'],
    ['echo:live', 'arn:aws:lambda:us-east-1:123456789012:function:echo:live'],
    ['echo:1', 'arn:aws:lambda:us-east-1:123456789012:function:echo:1'],
  ])('%s is not found', async (FunctionName, arn) => {
    const error = await refused({ FunctionName })
    expect(error).toMatchObject({
      name: 'ResourceNotFoundException',
      message: `Function not found: ${arn}`,
      Type: 'User',
      $metadata: { httpStatusCode: 404 },
    })
  })

  test('the message of what is not found has a capital letter, and that of everything else has not', async () => {
    const unknown = await project.ask('/2015-03-31/functions/nobody/invocations', { method: 'POST' })
    expect(unknown.headers.get('x-amzn-errortype')).toBe('ResourceNotFoundException')
    expect(unknown.headers.get('x-amzn-requestid')).toMatch(/^[\da-f-]{36}$/)
    expect(await unknown.json()).toEqual({
      Type: 'User',
      Message: 'Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody:$LATEST',
    })
    const unreadable = await project.ask('/2015-03-31/functions/echo/invocations', {
      method: 'POST',
      body: '{',
    })
    expect(unreadable.status).toBe(400)
    expect(await unreadable.json()).toEqual({
      Type: 'User',
      message: expect.stringMatching(/^Could not parse request body into json: /),
    })
  })

  test.each(['RequestResponse', 'Event'] as const)(
    '%s of what is no JSON, or no UTF-8',
    async (InvocationType) => {
      for (const Payload of [Buffer.from('{"a":'), Buffer.from('22fe22', 'hex')]) {
        const error = await refused({ FunctionName: 'echo', InvocationType, Payload })
        expect(error).toMatchObject({
          name: 'InvalidRequestContentException',
          $metadata: { httpStatusCode: 400 },
        })
        expect(error.message).toMatch(/^Could not parse request body into json: /)
      }
    },
  )

  test('a payload above 6 MiB, or 1 MiB for an event that nobody waits for', async () => {
    const Payload = `"${'x'.repeat(6 * 1024 * 1024)}"`
    expect(await refused({ FunctionName: 'echo', Payload })).toMatchObject({
      name: 'RequestTooLargeException',
      message: 'Request must be smaller than 6291456 bytes for the InvokeFunction operation',
      $metadata: { httpStatusCode: 413 },
    })
    const event = { FunctionName: 'echo', Payload: Payload.slice(-1024 * 1024 - 2).replace('x', '"') }
    expect(await refused({ ...event, InvocationType: 'Event' })).toMatchObject({
      name: 'RequestTooLargeException',
    })
    expect((await invoke(event)).StatusCode).toBe(200)
  })

  test('a client context that is none', async () => {
    for (const context of ['{', '[]', 'null']) {
      const ClientContext = Buffer.from(context).toString('base64')
      expect(await refused({ FunctionName: 'echo', ClientContext })).toMatchObject({
        name: 'InvalidRequestContentException',
        message: 'Client context must be a valid Base64-encoded JSON object.',
      })
    }
  })

  test('two qualifiers that disagree', async () => {
    expect(await refused({ FunctionName: 'echo:$LATEST', Qualifier: 'live' })).toMatchObject({
      name: 'InvalidParameterValueException',
      message: 'The derived qualifier from the function name does not match the specified qualifier.',
    })
  })

  test('a name that is none, and a type that is none', async () => {
    const name = await project.ask('/2015-03-31/functions/a%20b/invocations', { method: 'POST' })
    expect([name.status, name.headers.get('x-amzn-errortype')]).toEqual([400, 'ValidationException'])
    const type = await project.ask('/2015-03-31/functions/echo/invocations', {
      method: 'POST',
      headers: { 'X-Amz-Invocation-Type': 'Maybe' },
    })
    expect(await type.json()).toEqual({
      message:
        "1 validation error detected: Value 'Maybe' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [RequestResponse, Event, DryRun]",
    })
  })

  test('paths of other services, and pages of other sites', async () => {
    const other = await project.ask('/2006-03-01/bucket')
    expect([other.status, other.headers.get('x-amzn-errortype')]).toEqual([404, 'UnknownOperationException'])
    const site = await project.ask('/2015-03-31/functions', { headers: { Origin: 'https://evil.example' } })
    expect(site.status).toBe(403)
  })
})

type StreamEvent = InvokeWithResponseStreamResponseEvent

async function streamed(
  input: InvokeWithResponseStreamCommandInput,
): Promise<{ readonly at: number; readonly event: StreamEvent }[]> {
  const answer = await project.client.send(new InvokeWithResponseStreamCommand(input))
  expect(answer).toMatchObject({
    StatusCode: 200,
    ExecutedVersion: '$LATEST',
    ResponseStreamContentType: 'application/vnd.amazon.eventstream',
  })
  const events: { at: number; event: StreamEvent }[] = []
  for await (const event of answer.EventStream ?? []) events.push({ at: performance.now(), event })
  return events
}

const chunk = (event: StreamEvent): string => text(event.PayloadChunk?.Payload)

describe('InvokeWithResponseStream', () => {
  test('passes chunks on one by one, while the handler still runs', async () => {
    await streamed({ FunctionName: 'stream' })
    const events = await streamed({
      FunctionName: 'stream',
      Payload: '{"parts":["one","two","three"],"pauseMs":60}',
    })
    expect(events.map(({ event }) => chunk(event))).toEqual(['one', 'two', 'three', ''])
    expect(events.at(-1)?.event.InvokeComplete).toEqual({})
    const [first, second, third] = events.map(({ at }) => at)
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThan(30)
    expect((third ?? 0) - (second ?? 0)).toBeGreaterThan(30)
  })

  test('a chunk is with its reader within 5 ms of the write, since a stream is read while it is made', async () => {
    const lateMs: number[] = []
    for (let round = 0; round < 5; round += 1) {
      for (const { event, at } of await streamed({ FunctionName: 'clock' }))
        if (event.PayloadChunk !== undefined) lateMs.push(performance.timeOrigin + at - Number(chunk(event)))
    }
    expect(lateMs).toHaveLength(15)
    // The best, because other programs share the machine.
    expect(Math.min(...lateMs)).toBeLessThan(5)
  })

  test('a result that is not streamed is one chunk', async () => {
    const events = await streamed({ FunctionName: 'echo', Payload: '{"a":1}' })
    expect(events.map(({ event }) => chunk(event))).toEqual(['{"a":1}', ''])
  })

  test('the end tells of a failure half-way, of one without a chunk, and has the log when asked', async () => {
    const half = await streamed({ FunctionName: 'broken', LogType: 'Tail' })
    expect(half.map(({ event }) => chunk(event))).toEqual(['half', ''])
    const end = half.at(-1)?.event.InvokeComplete
    expect(end?.ErrorCode).toBe('Unhandled')
    expect(JSON.parse(end?.ErrorDetails ?? '')).toMatchObject({
      errorType: 'RangeError',
      errorMessage: 'the other half',
    })
    expect(Buffer.from(end?.LogResult ?? '', 'base64').toString()).toContain('REPORT RequestId:')
    const [only, ...rest] = await streamed({ FunctionName: 'missing' })
    expect(rest).toEqual([])
    expect(JSON.parse(only?.event.InvokeComplete?.ErrorDetails ?? '')).toMatchObject({
      errorType: 'Runtime.ImportModuleError',
    })
  })

  test('takes more than the 6 MiB that a result may have', async () => {
    const events = await streamed({ FunctionName: 'stream', Payload: '{"bytes":9000000}' })
    const bytes = events.reduce((sum, { event }) => sum + (event.PayloadChunk?.Payload?.length ?? 0), 0)
    expect(bytes).toBe(9_000_000)
  })

  test('what is not found is an error with its class, before any stream', async () => {
    const command = new InvokeWithResponseStreamCommand({ FunctionName: 'nobody' })
    await expect(project.client.send(command)).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  })

  test('a client that leaves does not end the invocation', async () => {
    const lines = (): number => reports('stream')
    const before = lines()
    await new Promise<void>((resolve, reject) => {
      const asked = request(
        `${project.endpoint}/2021-11-15/functions/stream/response-streaming-invocations`,
        { method: 'POST' },
        (answer) => {
          answer.once('data', () => {
            asked.destroy()
            resolve()
          })
          answer.on('error', () => undefined)
        },
      )
      asked.on('error', reject)
      asked.end('{"parts":["one","two","three"],"pauseMs":30}')
    })
    await expect.poll(lines).toBe(before + 1)
    expect(await streamed({ FunctionName: 'stream', Payload: '{"parts":["on"]}' })).toHaveLength(2)
  })
})

function reports(name: string): number {
  return project.events.filter(
    (event) => event.event === 'log' && event.function === name && event.text.startsWith('REPORT'),
  ).length
}

async function seen(): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  return readFile(`${project.directory}/seen.txt`, 'utf8').catch(() => '')
}
