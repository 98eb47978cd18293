import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { FlexiError } from '../../src/core/errors.ts'
import type { SocketFetcher } from '../../src/core/fetcher.ts'
import { createLogger, type LogRecord } from '../../src/core/log.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import type { FunctionEvent } from '../../src/core/schedule.ts'
import { openAccounts } from '../../src/daemon/accounts/open-accounts.ts'
import { groupsOf } from '../../src/daemon/accounts/permissions.ts'
import { openArtifacts } from '../../src/daemon/artifacts/open-artifacts.ts'
import { packDirectory } from '../../src/daemon/artifacts/pack-directory.ts'
import type { Artifacts } from '../../src/daemon/artifacts.ts'
import { defaultConfig } from '../../src/daemon/api/schemas/config.ts'
import {
  openControlPlane,
  type ControlOptions,
  type OpenControlPlane,
} from '../../src/daemon/control/open-control-plane.ts'
import { versionFunction } from '../../src/daemon/functions/version-function.ts'
import type {
  Caller,
  DeploymentEvent,
  DeploymentPart,
  Digest,
  FunctionKey,
  Group,
  LogRecord as FunctionLine,
  VersionConfig,
  VersionRecord,
  VersionStatus,
} from '../../src/daemon/model.ts'
import type { RunContext, Runtime, StartOptions } from '../../src/daemon/runtime.ts'
import type { Store } from '../../src/daemon/store.ts'
import { openStore } from '../../src/daemon/store/open-store.ts'
import { openTest, type TestGateway } from '../gateway/harness.ts'

export const DOMAIN = 'fn.test'

/** In the place of processes: answers with the version's name, and does what its options say. */
class FakeRuntime implements Runtime {
  readonly known = new Map<
    string,
    { record: VersionRecord; state: VersionStatus['state']; fetcher: SocketFetcher }
  >()
  /** `start hello@v1` … */
  readonly calls: string[] = []
  readonly lines: FunctionLine[] = []
  /** Called where a version starts; what it throws is why it does not. */
  onStart: (record: VersionRecord, options?: StartOptions) => Promise<void> = () => Promise.resolve()
  /** What an event comes to. */
  onRun: Runtime['run'] = () =>
    Promise.resolve({ payload: Buffer.from('null'), contentType: 'application/json', log: '' })
  onRefresh: (record: VersionRecord) => Promise<void> = () => Promise.resolve()

  add(record: VersionRecord): void {
    this.calls.push(`add ${record.name}@${record.version}`)
    const key = textOf(record)
    if (this.known.has(key)) return
    const entry = { record, state: 'idle' as VersionStatus['state'], fetcher: this.#fetcher(key) }
    this.known.set(key, entry)
  }

  async start(key: FunctionKey, options?: StartOptions): Promise<void> {
    this.calls.push(`start ${textOf(key)}`)
    const entry = this.known.get(textOf(key))
    if (entry === undefined) throw new Error(`${textOf(key)} is not known`)
    await this.onStart(entry.record, options)
    const { fail } = entry.record.config.options as { fail?: string }
    if (fail !== undefined) {
      options?.onLog?.('about to fail')
      throw new FlexiError('FLEXI_DEPLOY', fail)
    }
    entry.state = 'running'
  }

  stop(key: FunctionKey): Promise<void> {
    this.calls.push(`stop ${textOf(key)}`)
    return Promise.resolve()
  }

  remove(key: FunctionKey): Promise<void> {
    this.calls.push(`remove ${textOf(key)}`)
    this.known.delete(textOf(key))
    return Promise.resolve()
  }

  forget(name: string): Promise<void> {
    this.calls.push(`forget ${name}`)
    return Promise.resolve()
  }

  configOf(key: FunctionKey): ReturnType<Runtime['configOf']> {
    const record = this.known.get(textOf(key))?.record
    return Promise.resolve(
      record === undefined ? undefined : versionFunction(record, '/' as AbsolutePath, {}),
    )
  }

  async refresh(record: VersionRecord): Promise<void> {
    this.calls.push(`refresh ${textOf(record)}`)
    await this.onRefresh(record)
    const entry = this.known.get(textOf(record))
    if (entry !== undefined) entry.record = record
  }

  fetcher(key: FunctionKey): SocketFetcher | undefined {
    return this.known.get(textOf(key))?.fetcher
  }

  invoke(key: FunctionKey): ReturnType<Runtime['invoke']> {
    return Promise.resolve({ payload: Buffer.from(textOf(key)), contentType: 'text/plain', log: '' })
  }

  run(key: FunctionKey, event: FunctionEvent, context: RunContext): ReturnType<Runtime['run']> {
    this.calls.push(`run ${textOf(key)}`)
    return this.onRun(key, event, context)
  }

  status(key: FunctionKey): Omit<VersionStatus, 'aliases'> | undefined {
    const entry = this.known.get(textOf(key))
    if (entry === undefined) return undefined
    const { name, version } = key
    const instances = entry.state === 'running' ? 1 : 0
    return { name, version, state: entry.state, instances, inFlight: 0, since: 0, restarts: 0 }
  }

  statuses(): readonly Omit<VersionStatus, 'aliases'>[] {
    return [...this.known.values()].flatMap(({ record }) => this.status(record) ?? [])
  }

  readonly logs: Runtime['logs'] = {
    append: (record) => void this.lines.push(record),
    read: () => fromArray(this.lines),
    remove: () => Promise.resolve(),
  }

  onState(): () => void {
    return () => undefined
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  #fetcher(key: string): SocketFetcher {
    return {
      handle: (_incoming: IncomingMessage, outgoing: ServerResponse) => {
        outgoing.end(key)
        return Promise.resolve()
      },
    }
  }
}

async function* fromArray<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

function textOf({ name, version }: FunctionKey): string {
  return `${name}@${version}`
}

export interface TestControl extends AsyncDisposable {
  readonly control: OpenControlPlane
  readonly store: Store
  readonly artifacts: Artifacts
  readonly runtime: FakeRuntime
  readonly directory: string
  readonly log: LogRecord[]
  /** Closes everything as a crash would, and opens it again over the same files, with a runtime that knows nothing. */
  reopened(): Promise<TestControl>
  /** Uploads a folder with these files. */
  /** Uploaded by all who are named; default: all. */
  artifact(files?: Readonly<Record<string, string>>, by?: readonly Caller[]): Promise<Digest>
}

type Given = Partial<Omit<ControlOptions, 'runtime' | 'artifacts' | 'store'>> & {
  readonly directory?: string
}

export async function openTestControl(given: Given = {}): Promise<TestControl> {
  const directory = given.directory ?? (await mkdtemp(join(tmpdir(), 'flexi-control-')))
  const key = Buffer.alloc(32, 7)
  const store = await openStore({ file: join(directory, 'flexi.db'), key })
  const artifacts = await openArtifacts({ directory: join(directory, 'artifacts') as AbsolutePath })
  const runtime = new FakeRuntime()
  const log: LogRecord[] = []
  const control = openControlPlane({
    store,
    artifacts,
    runtime,
    accounts: openAccounts({ store, key }),
    sandbox: { capabilities: NO_SANDBOX },
    signatures: { required: false, verify: () => Promise.resolve(undefined) },
    domain: DOMAIN,
    url: () => `http://${DOMAIN}:8080`,
    version: '0.0.0',
    log: createLogger((record) => log.push(record), 'debug'),
    ...given,
  })
  await control.restore()
  const close = async (): Promise<void> => {
    await control[Symbol.asyncDispose]()
    store[Symbol.dispose]()
  }
  return {
    control,
    store,
    artifacts,
    runtime,
    directory,
    log,
    async reopened() {
      await close()
      return openTestControl({ ...given, directory })
    },
    async artifact(files = { 'index.js': randomBytes(8).toString('hex') }, by = [ROOT, ADA, BOB]) {
      const digest = await pack(directory, files)
      const file = join(directory, 'packed.tgz')
      for (const caller of by) await control.putArtifact(caller, digest, createReadStream(file))
      return digest
    },
    async [Symbol.asyncDispose]() {
      await close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function pack(directory: string, files: Readonly<Record<string, string>>): Promise<Digest> {
  const folder = await mkdtemp(join(directory, 'pack-'))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  const { digest } = await packDirectory(
    folder as AbsolutePath,
    join(directory, 'packed.tgz') as AbsolutePath,
  )
  await rm(folder, { recursive: true })
  return digest
}

const NO_SANDBOX = {
  isolation: undefined,
  systemCalls: false,
  limits: 'none',
  egress: undefined,
  ownUsers: false,
  notes: [],
} as const

export function callerOf(user: string, ...groups: Group[]): Caller {
  return { user, token: 't', groups: groupsOf(user, groups, undefined), from: 'local' }
}

export const ROOT = callerOf('root', 'permission:root')
export const ADA = callerOf(
  'ada',
  'permission:write',
  'permission:read',
  'permission:execute',
  'permission:remove',
)
export const BOB = callerOf(
  'bob',
  'permission:write',
  'permission:read',
  'permission:execute',
  'permission:remove',
)

export function configOf(given: Partial<VersionConfig> = {}): VersionConfig {
  return { ...defaultConfig(), provider: 'native', ...given }
}

export function partOf(name: string, artifact: Digest, given: Partial<VersionConfig> = {}): DeploymentPart {
  return { name, artifact, config: configOf(given) }
}

export interface Deployed {
  readonly events: readonly DeploymentEvent[]
  readonly last: DeploymentEvent | undefined
}

export interface ToDeploy {
  readonly project?: string
  readonly alias?: string
  readonly domains?: readonly string[]
  readonly dryRun?: boolean
  readonly caller?: Caller
  readonly signal?: AbortSignal
}

export async function deploy(
  { control }: Pick<TestControl, 'control'>,
  parts: readonly DeploymentPart[],
  { project = 'shop', alias = 'live', caller = ROOT, signal, ...rest }: ToDeploy = {},
): Promise<Deployed> {
  const request = { project, alias, parts, ...rest }
  const events: DeploymentEvent[] = []
  for await (const event of control.deploy(caller, request, signal ?? new AbortController().signal))
    events.push(event)
  return { events, last: events.at(-1) }
}

/** A gateway as the daemon has it: what is neither a function nor a project's is the API's. */
export function openFront({ control }: Pick<TestControl, 'control'>): Promise<TestGateway> {
  const api: SocketFetcher = {
    handle(_incoming, outgoing) {
      outgoing.end('API')
      return Promise.resolve()
    },
  }
  return openTest(
    { routes: [], functions: new Map() },
    {
      mode: 'serve',
      controlPrefix: false,
      hosts: (host, context) => control.hosts(host, context) ?? api,
    },
  )
}

/** Status and text of a request with this Host. */
export async function ask(
  front: TestGateway,
  host: string | undefined,
  { path = '/', fields = '' }: { readonly path?: string; readonly fields?: string } = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const version = host === undefined ? '1.0' : '1.1'
  const line = host === undefined ? '' : `Host: ${host}\r\n`
  const answer = await front.raw(`GET ${path} HTTP/${version}\r\n${line}${fields}Connection: close\r\n\r\n`)
  const [head = '', ...body] = answer.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), text: bodyOf(head, body.join('\r\n\r\n')) }
}

function bodyOf(head: string, body: string): string {
  if (!/transfer-encoding: chunked/i.test(head)) return body
  return body
    .split('\r\n')
    .filter((_, index) => index % 2 === 1)
    .join('')
}
