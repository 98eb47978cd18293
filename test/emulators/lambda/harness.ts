import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import type { RequestContext, RequestId } from '../../../src/core/fetcher.ts'
import type {
  FunctionConfig,
  FunctionFault,
  FunctionScope,
  FunctionSource,
  InvokeResult,
  OutputLine,
} from '../../../src/core/function.ts'
import { silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import { Pool } from '../../../src/instances/pool.ts'
import type { FrontEndRequest } from '../../../src/emulators/lambda/front-ends/front-end.ts'
import { testScope } from '../../scope.ts'

export type Files = Readonly<Record<string, string>>

export interface Opened extends AsyncDisposable {
  readonly directory: AbsolutePath
  readonly source: FunctionSource
  readonly pool: Pool
  readonly faults: FunctionFault[]
  readonly lines: OutputLine[]
  write(files: Files): Promise<void>
  /** Builds what is there and runs it from now on. */
  build(): Promise<void>
  invoke(event?: unknown, options?: { readonly clientContext?: string }): Promise<Invoked>
}

interface Invoked extends InvokeResult {
  readonly value: unknown
}

export type FunctionSetup = Partial<FunctionConfig> &
  Pick<FunctionScope, 'passCredentials'> & { readonly handler: string }

/** A function made of these files, built, behind a pool. */
export async function openFunction(files: Files, config: FunctionSetup): Promise<Opened> {
  const opened = await prepareFunction(files, config)
  try {
    await opened.build()
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
  return opened
}

/** The same, not built yet. */
export async function prepareFunction(
  files: Files,
  { handler, passCredentials, ...config }: FunctionSetup,
): Promise<Opened> {
  const directory = await temporaryFolder(files)
  const faults: FunctionFault[] = []
  const lines: OutputLine[] = []
  const scope = testScope(directory, {
    passCredentials,
    endpoints: () => ({ origin: 'http://127.0.0.1:8069', control: 'http://127.0.0.1:8069/_flexi' }),
    output: (line) => lines.push(line),
    report: (fault) => faults.push(fault),
  })
  const source = await lambda.open(
    {
      name: 'tested',
      provider: 'lambda',
      directory,
      origin: { file: join(directory, 'flexi.jsonc'), line: 3, column: 5 },
      environment: {},
      ...config,
      options: { handler, ...config.options },
    },
    scope,
  )
  const pool = new Pool({ name: 'tested', log: silentLogger })
  return {
    directory,
    source,
    pool,
    faults,
    lines,
    write: (more) => writeFiles(directory, more),
    build: async () => pool.replace(await source.build()),
    async invoke(event = {}, options = {}) {
      const result = await pool.invoke(Buffer.from(JSON.stringify(event)), {
        id: randomUUID(),
        deadline: Date.now() + 60_000,
        signal: new AbortController().signal,
        ...options,
      })
      return { ...result, value: parsed(result.payload) }
    },
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]()
      await source[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString())
  } catch {
    return undefined
  }
}

export async function temporaryFolder(files: Files): Promise<AbsolutePath> {
  const directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  await writeFiles(directory, files)
  return directory
}

async function writeFiles(directory: string, files: Files): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), text)
  }
}

export interface RequestParts {
  readonly method?: string
  readonly target?: string
  readonly fields?: readonly string[]
  readonly body?: string | Buffer
  readonly receivedAt?: number
  readonly route?: RequestContext['route']
}

/** A request as a front end gets it. */
export function frontEndRequest({
  method = 'GET',
  target = '/',
  fields = [],
  body,
  receivedAt = 1_681_837_306_806,
  route,
}: RequestParts): FrontEndRequest {
  return {
    context: {
      id: '5bbd0e3e-fe7a-4299-9076-32d4de45391b' as RequestId,
      signal: new AbortController().signal,
      deadline: receivedAt + 60_000,
      receivedAt,
      clientAddress: '127.0.0.1',
      clientPort: 4711,
      protocol: 'https',
      raw: { method, target, fields },
      route,
      log: silentLogger,
      waitUntil: () => undefined,
      note: () => undefined,
      explain: () => false,
    },
    httpVersion: '1.1',
    body: body === undefined ? undefined : Buffer.from(body),
    trace: 'Root=1-643eccfa-2c6028925c2b249524664087',
    functionName: 'tested',
    region: 'us-east-1',
  }
}
