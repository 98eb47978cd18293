import { mkdir, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'

import { randomUUID } from 'node:crypto'
import { FlexiError } from '../core/errors.ts'
import type { DevEvent } from '../core/events.ts'
import type { FunctionConfig, InvokeResult, PackagedFile } from '../core/function.ts'
import { silentLogger } from '../core/log.ts'
import type { AbsolutePath } from '../core/place.ts'
import { closest } from '../core/suggest.ts'
import { readProject } from '../config/project.ts'
import { readServerSettings } from '../config/settings.ts'
import { emulatorOf, emulators } from '../emulators/registry.ts'
import { Pool } from '../instances/pool.ts'
import { eventLogger, functionScope } from './scope.ts'

export interface OneShotOptions {
  readonly directory: AbsolutePath
  readonly configFile?: AbsolutePath | undefined
  readonly envFile?: AbsolutePath | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Functions have the cloud credentials of `environment`. */
  readonly passCredentials?: boolean | undefined
}

export interface BuildReport {
  readonly name: string
  readonly provider: string
  readonly files: readonly PackagedFile[]
  readonly durationMs: number
}

/** Writes every function as a deployment would ship it, each into its own folder of `outDirectory`. @throws FlexiError FLEXI_BUILD. */
export async function buildProject(
  options: OneShotOptions & { readonly outDirectory: AbsolutePath },
): Promise<readonly BuildReport[]> {
  const project = await readProject({ ...options, emulators })
  const reports: BuildReport[] = []
  for (const config of project.functions) {
    const from = performance.now()
    const directory = join(options.outDirectory, config.name) as AbsolutePath
    await rm(directory, { recursive: true, force: true })
    await mkdir(directory, { recursive: true })
    await using source = await openSource(config, { ...options, app: {} })
    const files = await source.package(directory)
    reports.push({
      name: config.name,
      provider: config.provider,
      files,
      durationMs: performance.now() - from,
    })
  }
  return reports
}

export interface InvokeOptions extends OneShotOptions {
  readonly name: string
  readonly payload: Uint8Array
  readonly timeoutMs?: number | undefined
  readonly clientContext?: string | undefined
  /** For functions that answer HTTP only: the payload is its body. */
  readonly request?:
    | { readonly method: string; readonly path: string; readonly fields: Readonly<Record<string, string>> }
    | undefined
  /** An event of one of a provider's sources; providers that do not tell them from others are given `payload` alone. */
  readonly event?: { readonly source: string; readonly provider: string; readonly value: unknown } | undefined
  readonly onEvent: (event: DevEvent) => void
}

/** Runs one function once, without a server. @throws FlexiError FLEXI_FUNCTION_UNKNOWN, or what building and starting it throws. */
export async function invokeFunction(options: InvokeOptions): Promise<InvokeResult> {
  const project = await readProject({ ...options, emulators })
  const config = project.functions.find(({ name }) => name === options.name)
  if (config === undefined) throw unknownFunction(options.name, project.functions)
  const runOwn = ownWay(config, options.event)
  const app = {}
  await using _neighbours = await openNeighbours(config, project.functions, { ...options, app })
  await using source = await openSource(config, { ...options, app }, options.onEvent)
  await using pool = new Pool({ name: config.name, log: silentLogger })
  await pool.replace(await source.build())
  if (runOwn !== undefined) return await inTime(runOwn(app), config.name, options.timeoutMs)
  const asked = options.request ?? (await defaultRequest(pool, options.payload))
  const answer =
    asked === undefined
      ? invokeByEvent(pool, config, options)
      : invokeByHttp(pool, { ...options, request: asked })
  return await inTime(answer, config.name, options.timeoutMs)
}

/** How an event goes its provider's own way. @throws FlexiError FLEXI_USAGE when the function is another provider's. */
function ownWay(
  { name, provider }: FunctionConfig,
  event: InvokeOptions['event'],
): ((app: object) => Promise<InvokeResult>) | undefined {
  const run = event === undefined ? undefined : emulatorOf(event.provider).runEvent
  if (event === undefined || run === undefined) return undefined
  if (event.provider === provider)
    return (app) => run({ app, name, source: event.source, event: event.value })
  throw new FlexiError(
    'FLEXI_USAGE',
    `${event.source} is an event of ${event.provider}, and ${name} is a function of ${provider}`,
    { hint: '"flexi events" lists the sources of each.' },
  )
}

async function invokeByEvent(
  pool: Pool,
  config: FunctionConfig,
  { payload, clientContext, timeoutMs = config.timeoutMs ?? 900_000 }: InvokeOptions,
): Promise<InvokeResult> {
  const signal = AbortSignal.timeout(timeoutMs)
  return await pool.invoke(payload, {
    id: randomUUID(),
    deadline: Date.now() + timeoutMs,
    signal,
    clientContext,
  })
}

/** A function that goes on is ended with its pool. @throws FlexiError FLEXI_FUNCTION_TIMEOUT. */
async function inTime<Value>(
  answer: Promise<Value>,
  name: string,
  limitMs: number | undefined,
): Promise<Value> {
  if (limitMs === undefined) return await answer
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new FlexiError(
      'FLEXI_FUNCTION_TIMEOUT',
      `${name} did not answer within ${limitMs / 1000} s`,
    )
    timer = setTimeout(reject, limitMs, error)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What the function may be bound to. One that is at fault is missed by whoever asks for it. */
async function openNeighbours(
  config: FunctionConfig,
  functions: readonly FunctionConfig[],
  options: SourceOptions & Pick<InvokeOptions, 'onEvent'>,
): Promise<AsyncDisposable> {
  const others =
    emulatorOf(config.provider).connected === true
      ? functions.filter(({ name, provider }) => provider === config.provider && name !== config.name)
      : []
  const opened = await Promise.allSettled(others.map((other) => openSource(other, options, options.onEvent)))
  const sources = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(sources.map((source) => source[Symbol.asyncDispose]()))
    },
  }
}

type SourceOptions = OneShotOptions & { readonly app: object }

export function openSource(
  config: FunctionConfig,
  options: SourceOptions,
  onEvent: (event: DevEvent) => void = () => undefined,
) {
  const settings = readServerSettings({ flags: {}, environment: options.environment, project: {} })
  const scope = functionScope(config.name, {
    app: options.app,
    directory: options.directory,
    mode: 'serve',
    threads: settings.threads,
    preallocationKb: settings.responsePreallocationKb,
    origin: () => undefined,
    passCredentials: options.passCredentials,
    log: eventLogger('warn', onEvent),
    onEvent,
  })
  return emulatorOf(config.provider).open(config, scope)
}

function unknownFunction(name: string, functions: readonly FunctionConfig[]): FlexiError {
  const names = functions.map((config) => config.name)
  const near = closest(name, names)
  const hint =
    near === undefined ? `This project has: ${names.join(', ') || 'no functions'}.` : `Did you mean ${near}?`
  return new FlexiError('FLEXI_FUNCTION_UNKNOWN', `no function is called ${name}`, { hint })
}

/** What a function that takes no events is asked when nobody says: its address, with the payload as content. */
async function defaultRequest(pool: Pool, payload: Uint8Array): Promise<InvokeOptions['request']> {
  // Some providers answer HTTP only.
  if ((await pool.ready()).invoke !== undefined) return undefined
  return { method: payload.length === 0 ? 'GET' : 'POST', path: '/', fields: {} }
}

/** Providers that know no events are asked over HTTP, through the same gateway that serves them. */
async function invokeByHttp(
  pool: Pool,
  options: InvokeOptions & { request: NonNullable<InvokeOptions['request']> },
): Promise<InvokeResult> {
  const { openGateway } = await import('../gateway/gateway.ts')
  await using gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'serve',
    table: { routes: [], functions: new Map([[options.name, pool]]) },
    log: silentLogger,
    onAccess: () => undefined,
  })
  const { method, path, fields } = options.request
  return await new Promise((resolve, reject) => {
    const outgoing = request(
      `${gateway.url}/_flexi/f/${options.name}${path}`,
      { method, headers: { ...fields } },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const status = incoming.statusCode ?? 502
          resolve({
            payload: Buffer.concat(chunks),
            contentType: incoming.headers['content-type'] ?? 'application/octet-stream',
            functionError: status >= 500 ? 'Unhandled' : undefined,
            log: '',
          })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(options.payload)
  })
}
