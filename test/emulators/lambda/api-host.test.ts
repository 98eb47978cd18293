import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  CreateAliasCommand,
  InvokeCommand,
  InvokeWithResponseStreamCommand,
  LambdaClient,
  ListFunctionsCommand,
  PublishVersionCommand,
  UpdateFunctionConfigurationCommand,
  type LambdaServiceException,
} from '@aws-sdk/client-lambda'
import { expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { ApiFunction, ApiHost, InvokeContext, InvokeResult } from '../../../src/core/function.ts'
import { createLogger, silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { openLambdaApi, type LambdaApiOptions } from '../../../src/emulators/lambda/api/lambda-api.ts'
import { openGateway } from '../../../src/gateway/gateway.ts'

type Invoke = (payload: Uint8Array, context: InvokeContext) => Promise<InvokeResult>

interface Hosted extends AsyncDisposable {
  readonly url: string
  readonly client: LambdaClient
  /** Messages of the log. */
  readonly said: string[]
  readonly api: AsyncDisposable
}

const ok: InvokeResult = { payload: Buffer.from('1'), contentType: 'application/json', log: '' }
const failed: InvokeResult = { ...ok, functionError: 'Unhandled' }
const full = (): FlexiError =>
  new FlexiError('FLEXI_QUEUE_FULL', 'f has 1000 requests waiting', { retryAfterSeconds: 1 })

/** The API behind the real gateway, over functions that do what the test says. */
async function hosted(
  names: readonly string[],
  invoke: Invoke,
  { event, ...options }: LambdaApiOptions & { readonly event?: object } = {},
): Promise<Hosted> {
  const directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  const functions = names.map((name): ApiFunction => {
    const config = {
      name,
      provider: 'lambda',
      directory,
      origin: { file: 'flexi.jsonc', line: 1, column: 1 },
      environment: {},
      options: { handler: 'a.b', ...event },
    }
    const fetcher = { handle: () => Promise.resolve() }
    const own = {
      declared: true,
      instances: 1,
      startFailed: false,
      limit: () => undefined,
      package: () => Promise.resolve([]),
    }
    return { config, url: '', revision: 'r1', invoke, fetcher, ...own }
  })
  const said: string[] = []
  const host: ApiHost = {
    log: createLogger(({ fields }) => void said.push(String(fields['message'])), 'info'),
    app: {},
    mode: 'serve',
    stateDirectory: directory,
    control: () => undefined,
    functions: () => functions,
    find: (name) => functions.find(({ config }) => config.name === name),
    resources: () => [],
    put: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    address: () => undefined,
  }
  const api = await openLambdaApi(host, options)
  const gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'serve',
    table: { routes: [], functions: new Map() },
    mounts: new Map([['aws', api]]),
    log: silentLogger,
    onAccess: () => undefined,
  })
  const client = new LambdaClient({
    endpoint: `${gateway.url}/_flexi/aws`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
  })
  return {
    url: gateway.url,
    client,
    said,
    api,
    async [Symbol.asyncDispose]() {
      client.destroy()
      await api[Symbol.asyncDispose]()
      await gateway[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

const event = new InvokeCommand({ FunctionName: 'f', InvocationType: 'Event' })

test('a full queue is 429, which SDKs take for throttling', async () => {
  await using host = await hosted(['f'], () => Promise.reject(full()))
  for (const command of [
    new InvokeCommand({ FunctionName: 'f' }),
    new InvokeWithResponseStreamCommand({ FunctionName: 'f' }),
  ]) {
    const error = (await host.client
      .send(command as InvokeCommand)
      .catch((thrown: unknown) => thrown)) as LambdaServiceException
    expect(error).toMatchObject({
      name: 'TooManyRequestsException',
      message: 'Rate Exceeded.',
      Reason: 'ConcurrentInvocationLimitExceeded',
      $metadata: { httpStatusCode: 429 },
    })
  }
})

test('a server that stops is 503, and what is no answer of the function’s is a ServiceException', async () => {
  await using host = await hosted(['f'], () =>
    Promise.reject(new FlexiError('FLEXI_SHUTTING_DOWN', 'f is shutting down')),
  )
  await expect(host.client.send(new InvokeCommand({ FunctionName: 'f' }))).rejects.toMatchObject({
    name: 'ServiceException',
    $metadata: { httpStatusCode: 503 },
  })
})

test('a tool that is missing is named with what to do, because who invokes may see nothing else', async () => {
  await using host = await hosted(['f'], () =>
    Promise.reject(new FlexiError('FLEXI_TOOL_MISSING', 'f needs dotnet', { hint: 'Install .NET.' })),
  )
  await expect(host.client.send(new InvokeCommand({ FunctionName: 'f' }))).rejects.toMatchObject({
    name: 'ServiceException',
    message: 'f needs dotnet. Install .NET.',
  })
})

test('code that cannot be built is the function’s own error, and shows where', async () => {
  const fault = {
    place: { file: 'app.ts', line: 3, column: 7 },
    message: 'Unexpected "}"',
    text: 'const a = }',
  }
  await using host = await hosted(['f'], () =>
    Promise.reject(new FlexiError('FLEXI_BUILD', '1 fault in app.ts', { faults: [fault] })),
  )
  const { FunctionError, Payload } = await host.client.send(new InvokeCommand({ FunctionName: 'f' }))
  expect(FunctionError).toBe('Unhandled')
  expect(JSON.parse(Buffer.from(Payload ?? []).toString())).toEqual({
    errorType: 'Runtime.UserCodeSyntaxError',
    errorMessage: expect.stringContaining('app.ts:3:7'),
  })
})

test('an event that finds no room is tried again, longer and longer, and is no failure of the function', async () => {
  const ids: string[] = []
  await using host = await hosted(
    ['f'],
    (_payload, context) => {
      ids.push(context.id)
      return ids.length <= 5 ? Promise.reject(full()) : Promise.resolve(ok)
    },
    { throttleDelayMs: 1, throttleDelayMaxMs: 4, retryDelaysMs: [] },
  )
  const { $metadata } = await host.client.send(event)
  await expect.poll(() => ids.length).toBe(6)
  expect(new Set(ids)).toEqual(new Set([$metadata.requestId]))
  expect(host.said).toEqual([])
})

test.each([0, 1, 2])(
  'an event is tried %d times more when its function says so',
  async (maximumRetryAttempts) => {
    let runs = 0
    await using host = await hosted(
      ['f'],
      () => {
        runs += 1
        return Promise.resolve(failed)
      },
      { retryDelaysMs: [1, 1], event: { maximumRetryAttempts } },
    )
    await host.client.send(event)
    await expect.poll(() => host.said.at(-1)).toMatch(/every attempt failed$/)
    expect(runs).toBe(1 + maximumRetryAttempts)
  },
)

test('an event that waits for its next attempt does not keep the server from stopping, and is kept', async () => {
  let runs = 0
  const host = await hosted(
    ['f'],
    () => {
      runs += 1
      return Promise.resolve(failed)
    },
    { retryDelaysMs: [60_000] },
  )
  await host.client.send(event)
  await expect.poll(() => runs).toBe(1)
  await host[Symbol.asyncDispose]()
  expect(host.said.at(-1)).toBe('events that run at the next start: 1')
})

test('a stream is read as fast as the client reads, and to its end when the client leaves', async () => {
  const chunks = 512
  let taken = 0
  const finished: number[] = []
  const stream: Invoke = async (_payload, context) => {
    await new Promise<void>((resolve) => {
      for (let count = 0; count < chunks; count += 1) {
        context.stream?.chunk(Buffer.alloc(64 * 1024), () => {
          taken += 1
          if (taken === chunks) resolve()
        })
      }
    })
    finished.push(taken)
    return { ...ok, payload: Buffer.alloc(0) }
  }
  await using host = await hosted(['f'], stream)
  const path = `${host.url}/_flexi/aws/2021-11-15/functions/f/response-streaming-invocations`
  for (const leaves of [false, true]) {
    taken = 0
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(path, { method: 'POST' }, resolve).on('error', reject).end()
    })
    await once(answer, 'readable')
    expect(taken).toBeLessThan(chunks)
    if (leaves) answer.destroy()
    else answer.resume()
    await expect.poll(() => taken).toBe(chunks)
  }
  expect(finished).toEqual([chunks, chunks])
})

test('a client that leaves gives up its place in the queue', async () => {
  const signals: AbortSignal[] = []
  await using host = await hosted(['f'], (_payload, { signal }) => {
    signals.push(signal)
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new FlexiError('FLEXI_CLIENT_GONE', 'the client left')))
    })
  })
  const leaving = new AbortController()
  const asked = host.client.send(new InvokeCommand({ FunctionName: 'f' }), { abortSignal: leaving.signal })
  await expect.poll(() => signals.length).toBe(1)
  expect(signals[0]?.aborted).toBe(false)
  leaving.abort()
  await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
  await expect.poll(() => signals[0]?.aborted).toBe(true)
})

test('each invocation of an alias draws for its version: the second one has what its weight says', async () => {
  const draws = [0.29, 0.3, 0, 0.99]
  await using host = await hosted(['f', 'f:1', 'f:2'], () => Promise.resolve(ok), {
    random: () => draws.shift() ?? 1,
  })
  const FunctionName = 'f'
  await host.client.send(new PublishVersionCommand({ FunctionName }))
  await host.client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Timeout: 9 }))
  await host.client.send(new PublishVersionCommand({ FunctionName }))
  const RoutingConfig = { AdditionalVersionWeights: { 2: 0.3 } }
  await host.client.send(
    new CreateAliasCommand({ FunctionName, Name: 'live', FunctionVersion: '1', RoutingConfig }),
  )
  const versions: (string | undefined)[] = []
  for (let count = 0; count < 4; count += 1) {
    const invoke = new InvokeCommand({ FunctionName, Qualifier: 'live' })
    versions.push((await host.client.send(invoke)).ExecutedVersion)
  }
  expect(versions).toEqual(['2', '1', '2', '1'])
})

test('a page has fifty functions at most', async () => {
  const names = Array.from({ length: 120 }, (_, index) => `f${index}`)
  await using host = await hosted(names, () => Promise.resolve(ok))
  const first = await host.client.send(new ListFunctionsCommand({ MaxItems: 100 }))
  expect(first.Functions).toHaveLength(50)
  const rest = await host.client.send(new ListFunctionsCommand({ Marker: first.NextMarker }))
  expect(rest.Functions?.[0]?.FunctionName).toBe('f50')
  const last = await host.client.send(new ListFunctionsCommand({ Marker: rest.NextMarker }))
  expect([last.Functions?.length, last.NextMarker]).toEqual([20, undefined])
})

test('only programs of this machine are answered, whatever name they ask with', async () => {
  await using host = await hosted(['f'], () => Promise.resolve(ok))
  const status = (fields: Readonly<Record<string, string>>): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asked = request(`${host.url}/_flexi/aws/2015-03-31/functions/`, { headers: fields }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })
      asked.on('error', reject).end()
    })
  expect(await status({})).toBe(200)
  expect(await status({ Host: 'localhost' })).toBe(200)
  expect(await status({ Host: 'evil.example' })).toBe(403)
  expect(await status({ Origin: 'https://evil.example' })).toBe(403)
})

test('what is mounted takes its own segment and no longer word', async () => {
  await using host = await hosted(['f'], () => Promise.resolve(ok))
  const answers = await Promise.all(
    ['/_flexi/aws/2015-03-31/functions', '/_flexi/aws', '/_flexi/awsome/2015-03-31/functions'].map(
      async (path) => {
        const answer = await fetch(host.url + path)
        return [answer.status, answer.headers.get('x-amzn-errortype')]
      },
    ),
  )
  expect(answers).toEqual([
    [200, null],
    [404, 'UnknownOperationException'],
    [404, null],
  ])
})
