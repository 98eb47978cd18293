import { spawnSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { request, type IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { delimiter, dirname } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

import {
  AddPermissionCommand,
  CreateFunctionCommand,
  CreateFunctionUrlConfigCommand,
  GetFunctionConfigurationCommand,
  InvokeCommand,
  LambdaClient,
  LambdaServiceException,
  type CreateFunctionCommandInput,
  type InvokeCommandInput,
  type InvokeCommandOutput,
} from '@aws-sdk/client-lambda'
import { SQSClient } from '@aws-sdk/client-sqs'

import { startApp, type App } from '../../../../src/app.ts'
import type { DevEvent } from '../../../../src/core/events.ts'
import { temporaryFolder, type Files } from '../harness.ts'
import { zipOf } from '../zip.ts'

/** An empty flexi and what the recordings' tests did with their cloud. */
export interface Cloud extends AsyncDisposable {
  readonly lambda: LambdaClient
  readonly sqs: SQSClient
  readonly events: readonly DevEvent[]
  /** Makes a function and waits until it is active. Returns the answer to CreateFunction. */
  create(name: string, code: Files, more?: Partial<CreateFunctionCommandInput>): Promise<Answer>
  updated(name: string): Promise<void>
  invoke(name: string, payload?: unknown, more?: Partial<InvokeCommandInput>): Promise<Answer>
  /** The SDK's own answer. */
  raw(name: string): Promise<InvokeCommandOutput>
  /** Answers and refusals as Python's SDK tells them, which is how they are recorded. */
  readonly answer: (sent: Promise<object>) => Promise<Answer>
  /** Makes a function URL that everybody may call. */
  url(name: string, more?: { readonly InvokeMode?: 'BUFFERED' | 'RESPONSE_STREAM' }): Promise<MadeUrl>
  /** What a function has printed: Lambda's lines included. */
  printed(name: string): readonly string[]
}

export type Answer = Readonly<Record<string, unknown>>

interface MadeUrl {
  readonly create_lambda_url_config: Answer
  readonly add_permission: Answer
  readonly address: string
}

const ROLE = 'arn:aws:iam::123456789012:role/recorded'
const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }

export async function openCloud(): Promise<Cloud> {
  quickPython()
  const directory = await temporaryFolder({})
  const events: DevEvent[] = []
  const app = await startApp({
    directory,
    mode: 'serve',
    port: 0,
    portIsFixed: true,
    environment: {},
    watch: false,
    startedAt: 0,
    mayBeEmpty: true,
    logLevel: 'debug',
    onEvent: (event) => events.push(event),
  })
  return cloudOf(app, directory, events)
}

/** Scripts that look for the right Python at each start take longer than Python. */
function quickPython(): void {
  const { status, stdout } = spawnSync('python3', ['-c', 'import sys; print(sys.executable)'])
  if (status !== 0) return
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((path) => !path.endsWith('shims'))
  process.env['PATH'] = [dirname(stdout.toString().trim()), ...folders].join(delimiter)
}

function cloudOf(app: App, directory: string, events: readonly DevEvent[]): Cloud {
  const to = { endpoint: `${app.url}/_flexi/aws`, region: 'us-east-1', credentials, maxAttempts: 1 }
  const lambda = new LambdaClient(to)
  keepErrorBodies(lambda)
  const sqs = new SQSClient(to)
  return {
    lambda,
    sqs,
    events,
    answer,
    create: async (name, code, more) => {
      const created = await answer(lambda.send(new CreateFunctionCommand(input(name, code, more))))
      await settled(lambda, name)
      return created
    },
    updated: (name) => settled(lambda, name),
    invoke: (name, payload, more) => {
      const Payload = payload === undefined ? {} : { Payload: JSON.stringify(payload) }
      return answer(lambda.send(new InvokeCommand({ FunctionName: name, ...Payload, ...more })))
    },
    raw: (name) => lambda.send(new InvokeCommand({ FunctionName: name })),
    url: (name, more = {}) => madeUrl(lambda, name, more),
    printed: (name) =>
      events.flatMap((event) =>
        event.event === 'log' && event.function === name && !event.text.startsWith('the event ')
          ? [inCloud(event.text)]
          : [],
      ),
    async [Symbol.asyncDispose]() {
      lambda.destroy()
      sqs.destroy()
      await app[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The SDK's own waiters wait for a second between two questions. */
async function settled(lambda: LambdaClient, FunctionName: string): Promise<void> {
  await until(`${FunctionName} is active`, async () => {
    const told = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }))
    return told.State === 'Active' && told.LastUpdateStatus === 'Successful'
  })
}

/** As expect.poll(), which tests that run side by side have no say in. */
export async function until(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 25_000
  while (!(await is())) {
    if (Date.now() > end) throw new Error(`it never was so: ${what}`)
    await setTimeout(20)
  }
}

/** Settings of the recordings' tests, where a recording shows no others. */
function input(
  name: string,
  code: Files,
  more: Partial<CreateFunctionCommandInput> = {},
): CreateFunctionCommandInput {
  const entries = Object.entries(code).map(([file, text]) => ({ name: file, text, mode: 0o100755 }))
  return {
    FunctionName: name,
    Role: ROLE,
    Runtime: 'python3.12',
    Handler: 'handler.handler',
    Timeout: 30,
    Environment: { Variables: {} },
    Code: { ZipFile: zipOf(entries) },
    ...more,
  }
}

async function madeUrl(
  lambda: LambdaClient,
  name: string,
  more: { readonly InvokeMode?: 'BUFFERED' | 'RESPONSE_STREAM' },
): Promise<MadeUrl> {
  const made = await answer(
    lambda.send(new CreateFunctionUrlConfigCommand({ FunctionName: name, AuthType: 'NONE', ...more })),
  )
  const permission = await answer(
    lambda.send(
      new AddPermissionCommand({
        FunctionName: name,
        StatementId: 'urlPermission',
        Action: 'lambda:InvokeFunctionUrl',
        Principal: '*',
        FunctionUrlAuthType: 'NONE',
      }),
    ),
  )
  return {
    create_lambda_url_config: made,
    add_permission: permission,
    address: String(made['FunctionUrl']),
  }
}

async function answer(sent: Promise<object>): Promise<Answer> {
  try {
    return shaped(await sent)
  } catch (error) {
    if (!(error instanceof LambdaServiceException)) throw error
    return refusal(error)
  }
}

/** The members of an answer, with its status among them; JSON texts are read. */
function shaped(output: object): Answer {
  const { $metadata, Payload, ...members } = output as {
    readonly $metadata?: { readonly httpStatusCode?: number }
    readonly Payload?: Uint8Array | null
  }
  // No bytes are null to the SDK.
  const payload = Payload === undefined ? {} : { Payload: plain(Payload ?? '') }
  const metadata = { ResponseMetadata: { HTTPHeaders: {}, HTTPStatusCode: $metadata?.httpStatusCode } }
  return { ...(plain(members) as object), ...payload, ...($metadata === undefined ? {} : metadata) }
}

export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return plain(Buffer.from(value).toString())
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'string') return plainText(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const known = Object.entries(value).filter(([, one]) => one !== undefined)
  return Object.fromEntries(known.map(([name, one]) => [name, plain(one)]))
}

const errorBodies = new WeakMap<object, Answer>()

/** The SDK knows less of an error than was sent. */
function keepErrorBodies(lambda: LambdaClient): void {
  lambda.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const response = result.response as { readonly statusCode: number; body: Readable }
      if (response.statusCode < 400) return result
      const bytes = await buffer(response.body)
      response.body = Readable.from([bytes])
      errorBodies.set(response, JSON.parse(bytes.toString()) as Answer)
      return result
    },
    { step: 'deserialize', priority: 'low' },
  )
}

function plainText(text: string): unknown {
  const told = inCloud(text)
  return /^[{[]/.test(told) ? plain(JSON.parse(told)) : told
}

/** The folder of a function's code is where it is in the cloud. */
function inCloud(text: string): string {
  return text.replaceAll(/\/[^"\s:]*\/lambda\/code\/[0-9a-f]+/g, '/var/task')
}

/** An error that the service's model names shows its members; of others only code and message are told. */
function refusal(error: LambdaServiceException): Answer {
  const { name, message, $metadata, $response } = error
  const isModelled = error.constructor !== LambdaServiceException
  const { Type, Reason, Message, message: small } = errorBodies.get($response ?? {}) ?? {}
  const members = { Type, Reason, Message, message: small }
  return shaped({ Error: { Code: name, Message: message }, $metadata, ...(isModelled ? members : {}) })
}

export interface UrlAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface UrlRequest {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Asks a function URL, its path as written. */
export function askUrl(
  address: string,
  { path = '', method, headers = {}, body }: UrlRequest = {},
): Promise<UrlAnswer> {
  const { hostname, port, pathname } = new URL(address)
  return new Promise((resolve, reject) => {
    const target = pathname.replace(/\/$/, '') + (path === '' ? '/' : path)
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const outgoing = request(
      {
        hostname,
        port,
        path: target,
        method: method ?? 'GET',
        headers: { ...headers, ...length },
        agent: false,
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks).toString(),
          })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
