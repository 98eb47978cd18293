import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { FunctionConfig, FunctionFault, FunctionSource, OutputLine } from '../../../src/core/function.ts'
import { silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { openGateway, type Gateway } from '../../../src/gateway/gateway.ts'
import { Pool } from '../../../src/instances/pool.ts'
import { testScope } from '../../scope.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures/workers')
const NODE_MODULES = join(import.meta.dirname, '../../../node_modules')

/** Several workers of one application, each behind a pool; one gateway asks them by the host `NAME.localhost`. */
export interface Team extends AsyncDisposable {
  readonly directory: AbsolutePath
  readonly gateway: Gateway
  readonly faults: FunctionFault[]
  readonly lines: OutputLine[]
  ask(worker: string, path: string, options?: RequestInit): Promise<Response>
  /** Builds a worker's current files, as its watcher makes the application do: what has not changed is not started anew. */
  rebuild(worker: string): Promise<void>
}

/** Copies a fixture with one folder a worker, lets `prepare` change it, and serves them all. */
export async function serveTeam(
  fixture: string,
  folders: readonly string[],
  prepare: (directory: AbsolutePath) => Promise<void> = () => Promise.resolve(),
): Promise<Team> {
  const directory = (await mkdtemp(join(tmpdir(), 'flexi-team-'))) as AbsolutePath
  await cp(join(FIXTURES, fixture), directory, { recursive: true })
  await symlink(NODE_MODULES, join(directory, 'node_modules'))
  await prepare(directory)
  const faults: FunctionFault[] = []
  const lines: OutputLine[] = []
  const scope = testScope(directory, {
    threads: 2,
    output: (line) => lines.push(line),
    report: (fault) => faults.push(fault),
  })
  const sources = new Map<string, FunctionSource>()
  const pools = new Map<string, Pool>()
  for (const folder of folders) {
    const config = await configOf(join(directory, folder) as AbsolutePath)
    sources.set(config.name, await workers.open(config, scope))
    pools.set(config.name, new Pool({ name: config.name, log: silentLogger }))
  }
  const gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'dev',
    table: { routes: [], functions: pools },
    log: silentLogger,
    onAccess: () => undefined,
  })
  const rebuild = async (name: string): Promise<void> => {
    const code = await sources.get(name)?.build()
    const pool = pools.get(name)
    if (code !== undefined && code.revision !== pool?.state().revision) await pool?.replace(code)
  }
  const team: Team = {
    directory,
    gateway,
    faults,
    lines,
    ask: (worker, path, options) => fetch(`${gateway.url}/_flexi/f/${worker}${path}`, options),
    rebuild,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]()
      await Promise.all([...pools.values()].map((pool) => pool[Symbol.asyncDispose]()))
      await Promise.all([...sources.values()].map((source) => source[Symbol.asyncDispose]()))
      await rm(directory, { recursive: true, force: true })
    },
  }
  try {
    await Promise.all([...pools.keys()].map(rebuild))
  } catch (error) {
    await team[Symbol.asyncDispose]()
    throw error
  }
  return team
}

async function configOf(directory: AbsolutePath): Promise<FunctionConfig> {
  const { functions } = await workers.detect(directory, { environment: {} })
  const [config] = functions
  if (config === undefined) throw new Error(`${directory} has no worker`)
  return config
}
