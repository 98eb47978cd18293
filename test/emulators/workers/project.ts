import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { FunctionFault, FunctionScope, FunctionSource, OutputLine } from '../../../src/core/function.ts'
import { silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { openGateway, type Gateway } from '../../../src/gateway/gateway.ts'
import { Pool } from '../../../src/instances/pool.ts'
import { write } from './serve.ts'
import { testScope } from '../../scope.ts'

export interface WorkerText {
  /** Keys of its wrangler file besides name, main and compatibility_date. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly code: string
  readonly files?: Readonly<Record<string, string>>
}

export interface ProjectWorker {
  readonly pool: Pool
  readonly faults: FunctionFault[]
  readonly lines: OutputLine[]
  readonly source: FunctionSource
  /** Asks it for a path, and expects nothing of the status. */
  ask(path?: string): Promise<{ readonly status: number; readonly text: string }>
  /** The body of a 200, of anything else the status too. */
  text(path?: string): Promise<string>
  /** What an editor's save does. */
  save(text: WorkerText): Promise<void>
  /** Takes the function out of the project. */
  remove(): Promise<void>
}

export interface Project extends AsyncDisposable {
  readonly app: object
  readonly directory: AbsolutePath
  readonly gateway: Gateway
  readonly worker: (name: string) => ProjectWorker
}

/** Several workers of one application, each behind its pool, at NAME.localhost. */
export async function serveProject(
  texts: Readonly<Record<string, WorkerText>>,
  overrides: Partial<FunctionScope> = {},
): Promise<Project> {
  const directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  const app = {}
  const pools = new Map<string, Pool>()
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const opened = new Map<string, ProjectWorker>()
  let port = 0
  const open = (name: string, text: WorkerText): Promise<ProjectWorker> =>
    openWorker(name, {
      text,
      directory,
      overrides,
      app,
      pools,
      ask: (path) => ask(port, { agent, name, path }),
    })
  for (const [name, text] of Object.entries(texts)) opened.set(name, await open(name, text))
  const gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'dev',
    table: { routes: [], functions: pools },
    log: silentLogger,
    onAccess: () => undefined,
  })
  ;({ port } = gateway)
  await Promise.allSettled(
    [...opened].map(async ([, { pool, source }]) => pool.replace(await source.build())),
  )
  return {
    app,
    directory,
    gateway,
    worker(name) {
      const worker = opened.get(name)
      if (worker === undefined) throw new Error(`no worker ${name}`)
      return worker
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
      await gateway[Symbol.asyncDispose]()
      await Promise.all([...opened.values()].map((worker) => worker.remove()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}

interface Opening {
  readonly text: WorkerText
  readonly directory: AbsolutePath
  readonly overrides: Partial<FunctionScope>
  readonly app: object
  readonly pools: Map<string, Pool>
  readonly ask: (path: string) => Promise<{ readonly status: number; readonly text: string }>
}

async function openWorker(name: string, opening: Opening): Promise<ProjectWorker> {
  const { text, directory, overrides, app, pools, ask: askPath } = opening
  const folder = join(directory, name) as AbsolutePath
  await lay(folder, name, text)
  const { functions } = await workers.detect(folder, { environment: {} })
  const [config] = functions
  if (config === undefined) throw new Error('no worker was found')
  const faults: FunctionFault[] = []
  const lines: OutputLine[] = []
  const scope = testScope(directory, {
    app,
    output: (line) => lines.push(line),
    report: (fault) => faults.push(fault),
    ...overrides,
  })
  const source = await workers.open(config, scope)
  const pool = new Pool({ name: config.name, log: silentLogger })
  pools.set(name, pool)
  let removed: Promise<void> | undefined
  const remove = async (): Promise<void> => {
    await pool[Symbol.asyncDispose]()
    await source[Symbol.asyncDispose]()
  }
  return {
    pool,
    faults,
    lines,
    source,
    ask: (path = '/') => askPath(path),
    async text(path = '/') {
      const { status, text: body } = await askPath(path)
      return status === 200 ? body : `${status} ${body}`
    },
    async save(next) {
      await lay(folder, name, next)
      await pool.replace(await source.build())
    },
    remove: () => (removed ??= remove()),
  }
}

async function lay(
  folder: string,
  name: string,
  { config = {}, code, files = {} }: WorkerText,
): Promise<void> {
  const wrangler = { name, main: 'index.ts', compatibility_date: '2026-01-01', ...config }
  await write(folder, { 'wrangler.json': JSON.stringify(wrangler), 'index.ts': code, ...files })
}

function ask(
  port: number,
  { agent, name, path }: { readonly agent: Agent; readonly name: string; readonly path: string },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { agent, host: '127.0.0.1', port, path, headers: { host: `${name}.localhost` } }
    request(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      )
    })
      .once('error', reject)
      .end()
  })
}
