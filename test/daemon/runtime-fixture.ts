import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { silentLogger } from '../../src/core/log.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import type { Artifacts } from '../../src/daemon/artifacts.ts'
import { defaultConfig } from '../../src/daemon/api/schemas/config.ts'
import { openRuntime, type RuntimeOptions } from '../../src/daemon/functions/open-runtime.ts'
import type { Digest, FunctionKey, VersionConfig, VersionRecord } from '../../src/daemon/model.ts'
import type { Runtime } from '../../src/daemon/runtime.ts'
import { openGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { openSandbox } from '../../src/sandbox/open-sandbox.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'

/** What every configuration has unless it says otherwise. */
const CONFIG: VersionConfig = { ...defaultConfig(), provider: 'lambda', network: 'none' }

export interface Shipped {
  readonly name?: string
  readonly version?: string
  readonly files: Readonly<Record<string, string>>
  readonly config?: Partial<VersionConfig>
  readonly wanted?: VersionRecord['wanted']
}

/** A runtime over a folder of unpacked artifacts, behind a gateway: `hello.v1` asks hello@v1. */
export class Deployed implements AsyncDisposable {
  readonly directory: AbsolutePath
  readonly runtime: Runtime
  readonly variables: Record<string, string>
  readonly #gateway: Gateway
  readonly #sandbox: Sandbox
  readonly #artifacts: AbsolutePath

  private constructor(
    directory: AbsolutePath,
    made: { runtime: Runtime; sandbox: Sandbox; gateway: Gateway; variables: Record<string, string> },
  ) {
    this.directory = directory
    this.runtime = made.runtime
    this.variables = made.variables
    this.#sandbox = made.sandbox
    this.#gateway = made.gateway
    this.#artifacts = join(directory, 'artifacts') as AbsolutePath
  }

  static async open(
    options: Partial<RuntimeOptions> = {},
    { kind = 'none' }: { kind?: 'none' | 'bwrap' } = {},
  ): Promise<Deployed> {
    const directory = (await mkdtemp(join(tmpdir(), 'flexi-runtime-'))) as AbsolutePath
    const sandbox =
      options.sandbox ?? (await openSandbox({ kind, directory: join(directory, 's') as AbsolutePath }))
    const variables: Record<string, string> = {}
    const runtime = openRuntime({
      artifacts: unpackedBelow(join(directory, 'artifacts')),
      sandbox,
      variables: () => variables,
      functionNumber: () => 1,
      logsDirectory: join(directory, 'logs') as AbsolutePath,
      stateDirectory: join(directory, 'state') as AbsolutePath,
      log: silentLogger,
      ...options,
    })
    const gateway = await openGateway({
      host: '127.0.0.1',
      port: 0,
      mode: 'serve',
      controlPrefix: false,
      table: { routes: [], functions: new Map() },
      hosts: (host) => runtime.fetcher(keyOf(host)),
      log: silentLogger,
      onAccess: () => undefined,
      drainMs: 1_000,
    })
    return new Deployed(directory, { runtime, sandbox, gateway, variables })
  }

  get port(): number {
    return this.#gateway.port
  }

  /** Lays its files where an artifact would be unpacked. */
  async ship({ name = 'hello', version = 'v1', files, config = {}, wanted = 'running' }: Shipped) {
    const hash = createHash('sha256').update(JSON.stringify([name, version, files]))
    const artifact = hash.digest('hex') as Digest
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.#artifacts, artifact, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text, { mode: 0o755 })
    }
    const record: VersionRecord = {
      name,
      version,
      artifact,
      config: { ...CONFIG, ...config },
      createdAt: 0,
      createdBy: 'ada',
      wanted,
    }
    return record
  }

  /** Ships and adds it. */
  async add(shipped: Shipped): Promise<VersionRecord> {
    const record = await this.ship(shipped)
    this.runtime.add(record)
    return record
  }

  ask({ name, version }: FunctionKey, path = '/'): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const headers = { host: `${name}.${version}.localhost` }
      const asked = request({ host: '127.0.0.1', port: this.port, path, headers, agent: false }, (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject)
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        )
      })
      asked.on('error', reject).end()
    })
  }

  async logged(name: string): Promise<string[]> {
    const texts: string[] = []
    for await (const { text } of this.runtime.logs.read({ function: name })) texts.push(text)
    return texts
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gateway[Symbol.asyncDispose]()
    await this.runtime[Symbol.asyncDispose]()
    await this.#sandbox[Symbol.asyncDispose]()
    await rm(this.directory, { recursive: true, force: true })
  }
}

function keyOf(host: string): FunctionKey {
  const [name = '', version = ''] = host.split('.')
  return { name, version }
}

/** Every artifact is there, and unpacked: the runtime uses nothing else of them. */
function unpackedBelow(directory: string): Artifacts {
  const absent = (): never => {
    throw new Error('the runtime has no need for it')
  }
  return {
    has: absent,
    isOf: absent,
    receive: absent,
    open: absent,
    collect: absent,
    unpack: (digest) => Promise.resolve(join(directory, digest) as AbsolutePath),
  }
}

/** A Lambda handler, as it is shipped. */
export function handler(body: string): Shipped['files'] {
  return { 'index.mjs': `export const handler = async (event) => {\n${body}\n}\n` }
}

export const LAMBDA: Partial<VersionConfig> = { options: { handler: 'index.handler', built: true } }

/** A program that listens where it is told. `body` sees `request` and `response`. */
export function program(body: string, before = ''): Shipped['files'] {
  return {
    'server.mjs': `import { createServer } from 'node:http'
${before}
createServer((request, response) => {
${body}
}).listen(Number(process.env.PORT), '127.0.0.1')
`,
  }
}

export const PROCESS: Partial<VersionConfig> = {
  provider: 'process',
  options: { command: 'node', args: ['server.mjs'] },
}
