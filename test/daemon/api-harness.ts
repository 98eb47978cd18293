import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

import { FlexiError } from '../../src/core/errors.ts'
import type { Fetcher } from '../../src/core/fetcher.ts'
import { createLogger, type LogRecord } from '../../src/core/log.ts'
import type { Accounts } from '../../src/daemon/accounts.ts'
import { openAccounts } from '../../src/daemon/accounts/open-accounts.ts'
import { openApi, type Api } from '../../src/daemon/api/open-api.ts'
import { defaultConfig } from '../../src/daemon/api/schemas/config.ts'
import type {
  ControlPlane,
  DaemonInfo,
  FunctionDetail,
  FunctionSummary,
} from '../../src/daemon/control-plane.ts'
import type {
  AliasRecord,
  Caller,
  DeploymentEvent,
  Digest,
  FunctionKey,
  FunctionRecord,
  Group,
  LogRecord as FunctionLine,
  VariableRecord,
  VersionConfig,
  VersionRecord,
  VersionStatus,
} from '../../src/daemon/model.ts'
import type { LogFilter } from '../../src/daemon/runtime.ts'
import type { Store } from '../../src/daemon/store.ts'
import { openStore } from '../../src/daemon/store/open-store.ts'
import { openGateway, type Gateway } from '../../src/gateway/gateway.ts'

export interface TestDaemon extends AsyncDisposable {
  readonly url: string
  readonly api: Api
  readonly accounts: Accounts
  readonly store: Store
  readonly control: FakeControl
  readonly rootToken: string
  readonly root: Caller
  readonly log: LogRecord[]
  /** What the daemon aborts when it begins to stop. */
  readonly closing: AbortController
  /** The operator's socket. */
  readonly socket: string
  /** A token of a user with these groups, who is added. */
  token(user: string, ...groups: readonly Group[]): string
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>
}

interface AskOptions {
  /** Default: root's; null sends none. */
  readonly token?: string | null | undefined
  readonly json?: unknown
  readonly body?: string | Uint8Array | undefined
  readonly type?: string | undefined
  readonly fields?: Readonly<Record<string, string>> | undefined
}

export interface Answer {
  readonly status: number
  readonly text: string
  /** Undefined for what is no JSON. */
  readonly json: unknown
  readonly fields: Headers
}

/** The API behind a real gateway, over real accounts and a real store, with a control plane that runs nothing. */
export async function openTestDaemon(): Promise<TestDaemon> {
  const directory = await mkdtemp(join(tmpdir(), 'flexi-api-'))
  const key = randomBytes(32)
  const store = await openStore({ file: join(directory, 'flexi.db'), key })
  const accounts = openAccounts({ store, key })
  const control = new FakeControl(accounts)
  const records: LogRecord[] = []
  const log = createLogger((record) => records.push(record))
  const closing = new AbortController()
  let gateway: Gateway | undefined
  const api = openApi({
    control,
    accounts,
    url: () => gateway?.url ?? '',
    version: '1.2.3',
    log,
    closing: closing.signal,
  })
  gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'serve',
    controlPrefix: false,
    table: { routes: [], functions: new Map<string, Fetcher>() },
    hosts: () => api,
    log,
    onAccess: () => undefined,
    drainMs: 1_000,
  })
  const socket = join(directory, 'operator.sock')
  const operator = createServer((incoming, outgoing) => api.operator(incoming, outgoing))
  await new Promise<void>((resolve) => operator.listen(socket, resolve))
  const rootToken = accounts.firstRootToken() ?? ''
  const root = accounts.operator()
  const { url } = gateway
  const opened = gateway
  return {
    url,
    api,
    accounts,
    store,
    control,
    rootToken,
    root,
    log: records,
    closing,
    socket,
    token(user, ...groups) {
      accounts.addUser(root, user, groups)
      return accounts.issueToken(root, { user }).token
    },
    ask: (method, path, options = {}) => ask(url + path, method, { token: rootToken, ...options }),
    async [Symbol.asyncDispose]() {
      operator.closeAllConnections()
      await new Promise((resolve) => operator.close(resolve))
      await opened[Symbol.asyncDispose]()
      store[Symbol.dispose]()
      await rm(directory, { recursive: true })
    },
  }
}

async function ask(url: string, method: string, options: AskOptions): Promise<Answer> {
  const { token, json, body, type = json === undefined ? undefined : 'application/json' } = options
  const response = await fetch(url, {
    method,
    headers: {
      // A gateway that drains waits a moment for connections that may still be used.
      Connection: 'close',
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      ...(type === undefined ? {} : { 'Content-Type': type }),
      ...options.fields,
    },
    ...(json === undefined && body === undefined
      ? {}
      : { body: json === undefined ? (body ?? '') : JSON.stringify(json) }),
  })
  const text = await response.text()
  return { status: response.status, text, json: parsed(text), fields: response.headers }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface FakeVersion {
  record: VersionRecord
  state: VersionStatus['state']
}

/** Keeps what it is told in memory, and runs nothing. */
class FakeControl implements ControlPlane {
  readonly #accounts: Accounts
  readonly #functions = new Map<string, FunctionRecord>()
  readonly #versions = new Map<string, FakeVersion>()
  readonly #aliases = new Map<string, AliasRecord>()
  readonly #artifacts = new Set<string>()
  readonly #variables = new Map<string, VariableRecord>()
  /** Lines that `logs` tells; with `follow` it waits for its signal then. */
  lines: FunctionLine[] = []
  /** What `deploy` tells, or throws where an error stands. */
  events: (DeploymentEvent | Error)[] = []
  /** What was thrown away because nobody read any more. */
  aborted = 0

  constructor(accounts: Accounts) {
    this.#accounts = accounts
  }

  info(): DaemonInfo {
    return {
      version: '1.2.3',
      domain: 'example.com',
      url: 'http://example.com',
      startedAt: 0,
      sandbox: {
        isolation: undefined,
        systemCalls: false,
        limits: 'none',
        egress: undefined,
        ownUsers: false,
        notes: [],
      },
      requiresSignature: false,
      functions: this.#functions.size,
    }
  }

  async upload(caller: Caller, key: FunctionKey, content: Readable): Promise<void> {
    const artifact = await this.#receive(content)
    if (this.#versions.has(named(key))) throw new FlexiError('FLEXI_CONFLICT', `${named(key)} is there`)
    const group: Group = `singular:${caller.user}`
    this.#add({ key, artifact, caller, config: { ...defaultConfig(), group } })
  }

  get(reference: FunctionKey): { version: VersionRecord; aliases: readonly string[] } {
    const { record } = this.#resolve(reference)
    return { version: record, aliases: this.#aliasesOf(record) }
  }

  async override(caller: Caller, reference: FunctionKey, config: VersionConfig): Promise<void> {
    const version = this.#owned(caller, 'write', reference)
    version.record = { ...version.record, config }
  }

  async alias(caller: Caller, reference: FunctionKey, alias: string | null): Promise<void> {
    const { record } = this.#owned(caller, 'write', reference)
    if (alias === null)
      for (const each of this.#aliasesOf(record)) this.#aliases.delete(`${record.name}@${each}`)
    else await this.setAlias(caller, record.name, alias, { version: record.version })
  }

  async remove(caller: Caller, reference: FunctionKey): Promise<void> {
    this.#versions.delete(named(this.#owned(caller, 'remove', reference).record))
  }

  async start(caller: Caller, reference: FunctionKey): Promise<void> {
    const version = this.#owned(caller, 'execute', reference)
    if (version.state === 'running') throw new FlexiError('FLEXI_CONFLICT', `${named(reference)} runs`)
    if (version.record.config.sandbox.command === 'fail')
      throw Object.assign(new FlexiError('FLEXI_FUNCTION_INIT', 'ended with status 1'), {
        log: ['no such file'],
      })
    version.state = 'running'
  }

  async stop(caller: Caller, reference: FunctionKey): Promise<void> {
    const version = this.#owned(caller, 'execute', reference)
    if (version.state === 'stopped')
      throw new FlexiError('FLEXI_FUNCTION_UNKNOWN', `${named(reference)} does not run`)
    version.state = 'stopped'
  }

  status(reference: FunctionKey): VersionStatus | undefined {
    const version = this.#find(reference)
    return version === undefined ? undefined : this.#statusOf(version)
  }

  /** For tests: it ended by itself. */
  crash(key: FunctionKey): void {
    this.#resolve(key).state = 'crashed'
  }

  async hasArtifact(_caller: Caller, digest: Digest): Promise<boolean> {
    return this.#artifacts.has(digest)
  }

  async putArtifact(_caller: Caller, digest: Digest, content: Readable): Promise<void> {
    const received = await this.#receive(content)
    if (received !== digest) throw new FlexiError('FLEXI_UPLOAD', `the content is ${received}`)
  }

  async *deploy(_caller: Caller, _request: unknown, signal: AbortSignal): AsyncIterable<DeploymentEvent> {
    for (const event of this.events) {
      await Promise.resolve()
      if (event instanceof Error) throw event
      yield event
    }
    if (this.events.at(-1)?.constructor !== Object || signal.aborted) this.aborted++
  }

  deployments(): never[] {
    return []
  }

  functions(): readonly FunctionSummary[] {
    return [...this.#functions.values()].map((record) => this.#summary(record))
  }

  function(name: string): FunctionDetail {
    const record = this.#functions.get(name)
    if (record === undefined) throw unknown(name)
    const statuses = [...this.#versions.values()]
      .filter((version) => version.record.name === name)
      .map((version) => {
        const { createdAt, createdBy, artifact } = version.record
        return { ...this.#statusOf(version), createdAt, createdBy, artifact }
      })
    return { ...this.#summary(record), schedules: [], statuses }
  }

  async setGroup(caller: Caller, name: string, group: Group | null): Promise<void> {
    const record = this.function(name)
    this.#accounts.demand(caller, 'write', record.group)
    const kept = this.#functions.get(name)
    if (kept !== undefined) this.#functions.set(name, { ...kept, group: group ?? undefined })
  }

  async removeFunction(caller: Caller, name: string): Promise<void> {
    this.#accounts.demand(caller, 'remove', this.function(name).group)
    this.#functions.delete(name)
    for (const [key, { record }] of this.#versions) if (record.name === name) this.#versions.delete(key)
  }

  async setAlias(
    caller: Caller,
    name: string,
    alias: string,
    to: { version: string; second?: AliasRecord['second'] },
  ): Promise<AliasRecord> {
    this.#owned(caller, 'write', { name, version: to.version })
    const record = { function: name, alias, ...to, movedAt: 1, movedBy: caller.user }
    this.#aliases.set(`${name}@${alias}`, record)
    return record
  }

  async removeAlias(_caller: Caller, name: string, alias: string): Promise<void> {
    if (!this.#aliases.delete(`${name}@${alias}`)) throw unknown(`${name}@${alias}`)
  }

  async rollback(_caller: Caller, name: string, alias: string): Promise<AliasRecord> {
    const record = this.#aliases.get(`${name}@${alias}`)
    if (record === undefined) throw new FlexiError('FLEXI_USAGE', 'there is nothing to go back to')
    return record
  }

  aliasHistory(name: string, alias: string) {
    const record = this.#aliases.get(`${name}@${alias}`)
    if (record === undefined) throw unknown(name)
    const { version, second, movedAt, movedBy } = record
    return [{ function: name, alias, version, second, at: movedAt, by: movedBy }]
  }

  async *logs({ limit, follow, signal }: LogFilter): AsyncIterable<FunctionLine> {
    yield* limit === 0 ? [] : this.lines.slice(-(limit ?? Infinity))
    if (follow !== true || signal === undefined) return
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    this.aborted++
  }

  variables(name: string): readonly VariableRecord[] {
    return [...this.#variables.values()].filter((variable) => variable.function === name)
  }

  async setVariables(
    caller: Caller,
    name: string,
    { secret, values }: { secret: boolean; values: Readonly<Record<string, string | null>> },
  ): Promise<void> {
    this.#accounts.demand(caller, 'write', this.function(name).group)
    for (const [variable, value] of Object.entries(values)) {
      const shown = secret ? {} : { value: value ?? '' }
      const record = { function: name, name: variable, secret, ...shown, setAt: 1, setBy: caller.user }
      if (value === null) this.#variables.delete(`${name}.${variable}`)
      else this.#variables.set(`${name}.${variable}`, record)
    }
  }

  audit() {
    return []
  }

  #add({
    key,
    artifact,
    caller,
    config,
  }: {
    key: FunctionKey
    artifact: Digest
    caller: Caller
    config: VersionConfig
  }) {
    const common = { createdAt: 1, createdBy: caller.user }
    if (!this.#functions.has(key.name))
      this.#functions.set(key.name, {
        name: key.name,
        number: this.#functions.size,
        group: config.group,
        ...common,
      })
    const record = { ...key, artifact, config, wanted: 'stopped' as const, ...common }
    this.#versions.set(named(key), { record, state: 'stopped' })
  }

  async #receive(content: Readable): Promise<Digest> {
    const hash = createHash('sha256')
    for await (const chunk of content as AsyncIterable<Buffer>) hash.update(chunk)
    const digest = hash.digest('hex') as Digest
    this.#artifacts.add(digest)
    return digest
  }

  #find({ name, version }: FunctionKey): FakeVersion | undefined {
    const alias = this.#aliases.get(`${name}@${version}`)
    return this.#versions.get(`${name}@${version}`) ?? this.#versions.get(`${name}@${alias?.version}`)
  }

  #resolve(reference: FunctionKey): FakeVersion {
    const version = this.#find(reference)
    if (version === undefined) throw unknown(named(reference))
    return version
  }

  #owned(caller: Caller, permission: 'write' | 'execute' | 'remove', reference: FunctionKey): FakeVersion {
    const version = this.#resolve(reference)
    this.#accounts.demand(caller, permission, version.record.config.group)
    return version
  }

  #aliasesOf({ name, version }: FunctionKey): string[] {
    return [...this.#aliases.values()]
      .filter((alias) => alias.function === name && alias.version === version)
      .map(({ alias }) => alias)
  }

  #statusOf({ record, state }: FakeVersion): VersionStatus {
    const { name, version } = record
    const counts = { instances: 0, inFlight: 0, since: 1, restarts: 0 }
    return { name, version, state, ...counts, aliases: this.#aliasesOf(record) }
  }

  #summary(record: FunctionRecord): FunctionSummary {
    const aliases = [...this.#aliases.values()].filter((alias) => alias.function === record.name)
    const url = `http://${record.name}.example.com`
    return { ...record, provider: 'process', versions: 1, aliases, state: 'stopped', url }
  }
}

function named({ name, version }: FunctionKey): string {
  return `${name}@${version}`
}

function unknown(name: string): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_UNKNOWN', `there is no ${name}`)
}
