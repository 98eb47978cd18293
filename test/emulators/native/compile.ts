import { execFile, execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { expect } from 'vitest'

import { ServedFunction } from '../../../src/app/served-function.ts'
import { FlexiError } from '../../../src/core/errors.ts'
import type { DevEvent } from '../../../src/core/events.ts'
import type { FunctionConfig, FunctionScope, FunctionSource, OutputLine } from '../../../src/core/function.ts'
import { silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { openGateway } from '../../../src/gateway/gateway.ts'
import type { Pool } from '../../../src/instances/pool.ts'
import { watchFolder } from '../../../src/watch/watcher.ts'
import { native } from '../../../src/emulators/native/index.ts'
import { serveFunction, type Served } from '../conformance.ts'
import { testScope } from '../../scope.ts'

export const FIXTURES = join(import.meta.dirname, '../../fixtures/native')
const INCLUDE = join(import.meta.dirname, '../../../include')

/** Whether a tool runs here; tests that need it are skipped otherwise, and say so. */
export function has(command: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export const NO_CC = has('cc', '--version') ? undefined : 'cc is not installed'

/** Compiles C into a shared library that comes into being at once, as with `mv`. */
export async function compileC(source: string, target: string, flags: readonly string[] = []): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  const unfinished = `${target}.${process.pid}.part`
  const args = ['-O1', '-fPIC', '-shared', `-I${INCLUDE}`, ...flags, '-o', unfinished, source]
  const { stderr } = await promisify(execFile)('cc', args)
  if (stderr !== '') throw new Error(stderr)
  await rename(unfinished, target)
}

export function configOf(directory: AbsolutePath, extra: Partial<FunctionConfig> = {}): FunctionConfig {
  return {
    name: 'fixture',
    provider: 'native',
    directory,
    origin: { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 },
    environment: {},
    options: { library: 'libfixture.so' },
    ...extra,
  }
}

/** A fixture behind a pool and a gateway. */
export function serveC(
  fixture: string,
  { flags = [], config = {} }: { flags?: readonly string[]; config?: Partial<FunctionConfig> } = {},
): Promise<Served> {
  return serveFunction(native, async (directory) => {
    await compileC(join(FIXTURES, fixture), join(directory, 'libfixture.so'), flags)
    return configOf(directory, config)
  })
}

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: AbsolutePath }> {
  const path = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export function scopeOf(directory: AbsolutePath, lines: OutputLine[] = []): FunctionScope {
  return testScope(directory, { threads: 2, output: (line) => lines.push(line) })
}

export interface OpenedSource extends AsyncDisposable {
  readonly directory: AbsolutePath
  readonly source: FunctionSource
  readonly lines: OutputLine[]
}

/** A source without a pool: for what happens before anything is started. */
export async function openSource(
  directory: AbsolutePath,
  options: Readonly<Record<string, unknown>> = { library: 'libfixture.so' },
): Promise<OpenedSource> {
  const lines: OutputLine[] = []
  const source = await native.open(configOf(directory, { options }), scopeOf(directory, lines))
  return { directory, source, lines, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() }
}

/** The error that a promise rejects with, as what a person can fix. */
export async function failureOf(promise: Promise<unknown>): Promise<FlexiError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof FlexiError) return error
  throw new Error('it did not fail with a FlexiError', { cause: error })
}

export interface Watched extends AsyncDisposable {
  readonly directory: AbsolutePath
  readonly library: string
  readonly pool: Pool
  readonly events: DevEvent[]
  text(path: string): Promise<string>
  ask(path: string): Promise<Response>
}

/** A fixture as `flexi dev` serves it: watched, rebuilt and swapped on change. */
export async function watchC(fixture: string, config: Partial<FunctionConfig> = {}): Promise<Watched> {
  const folder = await temporaryFolder()
  const directory = folder.path
  const library = join(directory, 'libfixture.so')
  await compileC(join(FIXTURES, fixture), library)
  const events: DevEvent[] = []
  const onEvent = (event: DevEvent): void => void events.push(event)
  const served = await ServedFunction.open(configOf(directory, config), {
    emulator: native,
    directory,
    onEvent,
    scope: scopeOf(directory),
  })
  await served.start({ warm: true })
  const watcher = await watchFolder({
    directory,
    onChange: ({ paths, at }) => {
      const concerned = [...paths].filter((path) => served.watched().some((watched) => watched === path))
      if (concerned.length > 0) void served.rebuild(concerned, at)
    },
    onError: (error) => expect.unreachable(error.message),
  })
  const gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'dev',
    table: { routes: [], functions: new Map([[served.name, served.pool]]) },
    log: silentLogger,
    onAccess: () => undefined,
  })
  const ask = (path: string): Promise<Response> => fetch(`${gateway.url}/_flexi/f/fixture${path}`)
  return {
    directory,
    library,
    pool: served.pool,
    events,
    ask,
    text: async (path) => (await ask(path)).text(),
    async [Symbol.asyncDispose]() {
      await watcher[Symbol.asyncDispose]()
      await gateway[Symbol.asyncDispose]()
      await served[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}
