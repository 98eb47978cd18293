import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { FunctionConfig, FunctionFault, FunctionSource, OutputLine } from '../../../src/core/function.ts'
import { silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import { Pool } from '../../../src/instances/pool.ts'
import { fakeConfinement, type FakeConfinement } from '../../fake-confinement.ts'
import { testScope } from '../../scope.ts'
import { temporaryFolder, type Files } from './harness.ts'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'

export interface Shipped extends AsyncDisposable {
  readonly directory: AbsolutePath
  readonly options: Readonly<Record<string, unknown>>
  readonly paths: readonly string[]
}

/** Writes files, and packs what a deployment of them would ship into another folder; the files themselves are gone then. */
export async function ship(files: Files, config: Partial<FunctionConfig>): Promise<Shipped> {
  const from = await temporaryFolder(files)
  const directory = await temporaryFolder({})
  const source = await openLambda(from, config)
  const packed = await source.package(directory, { complete: true })
  const options = source.shipped?.() ?? {}
  await source[Symbol.asyncDispose]()
  await rm(from, { recursive: true })
  return {
    directory,
    options,
    paths: packed.map(({ path }) => path),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

function openLambda(
  directory: AbsolutePath,
  config: Partial<FunctionConfig>,
  given: Parameters<typeof testScope>[1] = {},
): Promise<FunctionSource> {
  const origin = { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 }
  const whole = {
    name: 'tested',
    provider: 'lambda',
    directory,
    origin,
    environment: {},
    options: {},
    ...config,
  }
  return lambda.open(whole, testScope(directory, given))
}

export interface Deployed extends AsyncDisposable {
  readonly confinement: FakeConfinement
  readonly lines: OutputLine[]
  readonly faults: FunctionFault[]
  readonly pool: Pool
  invoke(event?: unknown): Promise<unknown>
}

/** Opens a folder as a daemon does: kept apart, and not built. */
export async function deploy(directory: AbsolutePath, config: Partial<FunctionConfig>): Promise<Deployed> {
  const confinement = await fakeConfinement(directory)
  const stateDirectory = await temporaryFolder({})
  const lines: OutputLine[] = []
  const faults: FunctionFault[] = []
  const opening = openLambda(directory, config, {
    mode: 'serve',
    confinement,
    stateDirectory,
    output: (line) => lines.push(line),
    report: (fault) => faults.push(fault),
  })
  const source = await opening.catch(async (error: unknown) => {
    await confinement[Symbol.asyncDispose]()
    await rm(stateDirectory, { recursive: true, force: true })
    throw error
  })
  const pool = new Pool({ name: 'tested', log: silentLogger })
  await mkdir(stateDirectory, { recursive: true })
  const dispose = async (): Promise<void> => {
    await pool[Symbol.asyncDispose]()
    await source[Symbol.asyncDispose]()
    await confinement[Symbol.asyncDispose]()
    await rm(stateDirectory, { recursive: true, force: true })
  }
  try {
    await pool.replace(await source.build())
  } catch (error) {
    await dispose()
    if (error instanceof Error) error.message += `\n${lines.map(({ text }) => text).join('\n')}`
    throw error
  }
  return {
    confinement,
    lines,
    faults,
    pool,
    async invoke(event = {}) {
      const { signal } = new AbortController()
      const context = { id: randomUUID(), deadline: Date.now() + 60_000, signal }
      const { payload } = await pool.invoke(Buffer.from(JSON.stringify(event)), context)
      return JSON.parse(Buffer.from(payload).toString()) as unknown
    },
    [Symbol.asyncDispose]: dispose,
  }
}
