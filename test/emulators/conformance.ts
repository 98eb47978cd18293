import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { request, Agent, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import type {
  Emulator,
  FunctionConfig,
  FunctionFault,
  FunctionScope,
  FunctionSource,
  OutputLine,
} from '../../src/core/function.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { openGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { Pool } from '../../src/instances/pool.ts'
import { testScope } from '../scope.ts'

/** What a provider's truth allows. A missing ability is a reason, printed with the test that it stands for. */
export interface Conformance {
  readonly emulator: Emulator
  /** Lays the conformance function into an empty folder and returns its configuration. */
  install(directory: AbsolutePath): Promise<FunctionConfig>
  /** Makes the function answer `version` at /version: what an editor's save does. */
  edit(directory: AbsolutePath, version: string): Promise<void>
  /** Bytes of the largest body each way; larger ones are refused as the provider does. */
  readonly bodyBytesMax?: { readonly bytes: number; readonly reason: string }
  /** Why field names arrive in lower case, or duplicates as one comma-joined field. */
  readonly fields?: { readonly lowerCase?: string; readonly merged?: string }
  /** Why the function sees a target whose dot segments are resolved. */
  readonly dotsResolved?: string
  readonly noStreaming?: string
  /** Why a test does not apply at all, by its name. */
  readonly skip?: Readonly<Record<string, string>>
  /** Status that the provider's clients see when user code throws, crashes or times out. */
  readonly status: { readonly thrown: number; readonly crashed: number; readonly timedOut: number }
  readonly timeoutMs: number
  readonly memoryMb?: number
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Arrival times of the body's chunks, ms. */
  readonly times: readonly number[]
}

export interface Served extends AsyncDisposable {
  readonly directory: AbsolutePath
  readonly pool: Pool
  readonly gateway: Gateway
  readonly faults: FunctionFault[]
  readonly lines: OutputLine[]
  ask(path: string, options?: AskOptions): Promise<Answer>
  rebuild(): Promise<void>
}

interface AskOptions {
  readonly method?: string
  readonly headers?: Record<string, string | string[]> | readonly string[]
  readonly body?: Uint8Array
  readonly signal?: AbortSignal
}

/** One function behind a pool and a gateway, as the application has it, without its watcher. */
export async function serveFunction(
  emulator: Emulator,
  install: (directory: AbsolutePath) => Promise<FunctionConfig>,
  overrides: Partial<FunctionScope> = {},
): Promise<Served> {
  const directory = (await mkdtemp(join(tmpdir(), 'flexi-conformance-'))) as AbsolutePath
  const faults: FunctionFault[] = []
  const lines: OutputLine[] = []
  const config = await install(directory)
  let origin: string | undefined
  const scope = testScope(directory, {
    threads: 2,
    endpoints: () => ({ origin }),
    output: (line) => lines.push(line),
    report: (fault) => faults.push(fault),
    ...overrides,
  })
  const source: FunctionSource = await emulator.open(config, scope)
  const pool = new Pool({ name: config.name, log: silentLogger })
  const gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'dev',
    table: {
      routes: [
        {
          rule: {
            matcher: { kind: 'prefix', prefix: '/' },
            pattern: '/',
            target: { kind: 'function', name: config.name },
            origin: config.origin,
          },
          fetcher: pool,
        },
      ],
      functions: new Map([[config.name, pool]]),
    },
    log: silentLogger,
    onAccess: () => undefined,
  })
  origin = gateway.url
  try {
    await pool.replace(await source.build())
  } catch (error) {
    await gateway[Symbol.asyncDispose]()
    await pool[Symbol.asyncDispose]()
    await source[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
    throw error
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 256 })
  return {
    directory,
    pool,
    gateway,
    faults,
    lines,
    ask: (path, options) => ask(gateway, agent, path, options),
    rebuild: async () => pool.replace(await source.build()),
    async [Symbol.asyncDispose]() {
      agent.destroy()
      await gateway[Symbol.asyncDispose]()
      await pool[Symbol.asyncDispose]()
      await source[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function ask(
  gateway: Gateway,
  agent: Agent,
  path: string,
  { method = 'GET', headers = {}, body, signal }: AskOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: gateway.port,
        path,
        method,
        agent,
        signal,
        headers: headers as Record<string, string>,
      },
      (incoming) => {
        const chunks: Buffer[] = []
        const times: number[] = []
        incoming.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          times.push(performance.now())
        })
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks),
            times,
          }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** Processes this test process started and that still run, by command line. */
function children(): string[] {
  const table = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
  const rows = table
    .split('\n')
    .map((row) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(row))
    .filter((row) => row !== null)
  return rows
    .filter((row) => row[2] === String(process.pid) && !row[3]?.startsWith('Z') && !row[4]?.startsWith('ps '))
    .map((row) => row[4] ?? '')
}

const pattern = (bytes: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => index & 255))

/** The suite that every provider runs. What is peculiar to one is tested beside it. */
export function conforms(name: string, provider: Conformance): void {
  describe(`${name} conforms`, () => {
    let served: Served
    let temporary: string
    let before: string | undefined
    beforeAll(async () => {
      // A temporary folder of our own: what is left in it was left by us.
      before = process.env['TMPDIR']
      temporary = await mkdtemp(join(tmpdir(), 'flexi-conformance-'))
      process.env['TMPDIR'] = temporary
      served = await serveFunction(provider.emulator, (directory) => provider.install(directory))
    })
    afterEach(() => void (served.faults.length = 0))
    afterAll(async () => served?.[Symbol.asyncDispose]())

    // oxlint-disable vitest/expect-expect -- the rule's body asserts
    const rule = (title: string, run: () => Promise<void>, timeout = 20_000): void => {
      const reason = provider.skip?.[title]
      if (reason === undefined) test(title, run, timeout)
      else test.skip(`${title} (not here: ${reason})`)
    }

    const dots = provider.dotsResolved === undefined ? '' : ` but for dot segments (${provider.dotsResolved})`
    rule(`the method, the raw target and the body arrive as sent${dots}`, async () => {
      const target = '/echo/a%2Fb//c/../d;x=1?q=%20+%zz&q=2'
      const { status, body } = await served.ask(target, {
        method: 'PUT',
        body: Buffer.from('héllo'),
        headers: { 'content-type': 'text/plain; charset=utf-8' },
      })
      expect(status).toBe(200)
      const text = body.toString()
      expect(text.split('\n')[0]).toBe(`PUT ${dots === '' ? target : target.replace('c/../', '')}`)
      expect(text.endsWith('\nhéllo')).toBe(true)
    })

    rule(
      `fields arrive with their values${provider.fields?.merged === undefined ? ', duplicates apart and in order' : `, duplicates joined (${provider.fields.merged})`}`,
      async () => {
        const { body } = await served.ask('/echo', {
          headers: ['X-One', 'a', 'X-Two', 'b', 'X-One', 'c, d', 'Host', 'example.test'],
        })
        const lines = body.toString().split('\n\n')[0]?.split('\n').slice(1) ?? []
        const names = lines.map((line) =>
          provider.fields?.lowerCase === undefined ? line : line.toLowerCase(),
        )
        const wanted =
          provider.fields?.merged === undefined
            ? ['X-One: a', 'X-One: c, d', 'X-Two: b']
            : ['X-One: a,c, d', 'X-Two: b']
        const seen = names.filter((line) => /^x-(one|two):/i.test(line)).toSorted()
        const expected =
          provider.fields?.lowerCase === undefined ? wanted : wanted.map((line) => line.toLowerCase())
        expect(seen.map((line) => line.replace(/a, c, d$/, 'a,c, d'))).toEqual(expected.toSorted())
      },
    )

    rule('status, repeated Set-Cookie and other fields come back', async () => {
      const { status, headers } = await served.ask('/status?code=418')
      expect(status).toBe(418)
      expect(headers['x-custom']).toBe('a, b')
      expect(headers['set-cookie']).toHaveLength(2)
    })

    rule('HEAD has no body', async () => {
      const { status, body } = await served.ask('/version', { method: 'HEAD' })
      expect(status).toBe(200)
      expect(body.length).toBe(0)
    })

    rule('a binary body comes back byte for byte', async () => {
      const sent = pattern(70_000)
      const { body, headers } = await served.ask('/body', {
        method: 'POST',
        body: sent,
        headers: { 'content-type': 'application/octet-stream' },
      })
      expect(body.equals(sent)).toBe(true)
      expect(headers['content-type']).toBe('application/octet-stream')
    })

    rule('an empty body is an empty body', async () => {
      expect((await served.ask('/body', { method: 'POST' })).body.length).toBe(0)
    })

    const bytes = provider.bodyBytesMax?.bytes ?? 10_000_000
    const size = `${bytes / 1e6} MB${provider.bodyBytesMax === undefined ? '' : ` (${provider.bodyBytesMax.reason})`}`
    rule(`a body of ${size} arrives and returns`, async () => {
      const sent = pattern(bytes)
      const { body, status } = await served.ask('/body', {
        method: 'POST',
        body: sent,
        headers: { 'content-type': 'application/octet-stream' },
      })
      expect(status).toBe(200)
      expect(body.equals(sent)).toBe(true)
      expect((await served.ask(`/bytes?n=${bytes}`)).body.equals(sent)).toBe(true)
    })

    if (provider.noStreaming === undefined) {
      rule('a stream reaches the client chunk by chunk', async () => {
        const { body, times } = await served.ask('/stream')
        expect(body.toString()).toBe('onetwothree')
        expect(times.length).toBe(3)
        expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(120)
      })
    } else test.skip(`a stream reaches the client chunk by chunk (not here: ${provider.noStreaming})`)

    rule('100 requests at once are all answered, each with its own', async () => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, index) => served.ask(`/echo?n=${index}`)),
      )
      expect(answers.map(({ body }) => body.toString().split('\n')[0])).toEqual(
        answers.map((_, index) => `GET /echo?n=${index}`),
      )
    })

    rule('slow requests do not wait for each other', async () => {
      await Promise.all([served.ask('/sleep?ms=10'), served.ask('/sleep?ms=10')])
      const from = performance.now()
      const answers = await Promise.all([served.ask('/sleep?ms=400'), served.ask('/sleep?ms=400')])
      expect(answers.map(({ body }) => body.toString())).toEqual(['slept', 'slept'])
      expect(performance.now() - from).toBeLessThan(790)
    })

    rule('a client that leaves costs nobody else anything', async () => {
      const socket = connect(served.gateway.port, '127.0.0.1')
      socket.write('GET /sleep?ms=300 HTTP/1.1\r\nHost: x\r\n\r\n')
      await new Promise((resolve) => socket.once('connect', resolve))
      socket.resetAndDestroy()
      expect((await served.ask('/version')).status).toBe(200)
      await expect.poll(() => served.pool.state().inFlight, { timeout: 5000 }).toBe(0)
    })

    rule('a throw costs its request, is reported, and the next one is answered', async () => {
      expect((await served.ask('/throw')).status).toBe(provider.status.thrown)
      await expect.poll(() => served.faults.map(({ kind }) => kind)).toEqual(['throw'])
      expect((await served.ask('/version')).status).toBe(200)
    })

    rule('a crash costs its request, is reported, and the next one is answered', async () => {
      expect((await served.ask('/crash')).status).toBe(provider.status.crashed)
      await expect.poll(() => served.faults.map(({ kind }) => kind)).toEqual(['crash'])
      expect((await served.ask('/version')).status).toBe(200)
    })

    rule('an endless loop is ended at the timeout, is reported, and the next one is answered', async () => {
      const from = performance.now()
      expect((await served.ask('/hang')).status).toBe(provider.status.timedOut)
      expect(performance.now() - from).toBeLessThan(provider.timeoutMs + 3000)
      await expect.poll(() => served.faults.map(({ kind }) => kind)).toEqual(['timeout'])
      expect((await served.ask('/version')).status).toBe(200)
    })

    rule(
      'memory without end is ended at the limit, and the next one is answered',
      async () => {
        expect((await served.ask('/memory')).status).toBeGreaterThanOrEqual(500)
        await expect.poll(() => served.faults.map(({ kind }) => kind)).toEqual(['memory'])
        expect((await served.ask('/version')).status).toBe(200)
      },
      60_000,
    )

    rule(
      'ten replacements under load fail no request, and the last one serves',
      async () => {
        await provider.edit(served.directory, 'v2')
        await served.rebuild()
        let running = true
        const client = async (): Promise<string[]> => {
          const seen: string[] = []
          while (running) {
            const { status, body } = await served.ask('/version')
            seen.push(`${status} ${body.toString()}`)
          }
          return seen
        }
        const clients = Array.from({ length: 4 }, client)
        for (let turn = 3; turn <= 12; turn += 1) {
          await provider.edit(served.directory, `v${turn}`)
          await served.rebuild()
          expect((await served.ask('/version')).body.toString()).toBe(`v${turn}`)
        }
        running = false
        const answers = (await Promise.all(clients)).flat()
        expect(answers.length).toBeGreaterThan(20)
        expect(answers.filter((answer) => !/^200 v\d+$/.test(answer))).toEqual([])
      },
      60_000,
    )

    rule('a request in flight finishes on the code it started with', async () => {
      const slow = served.ask('/sleep?ms=600')
      await expect.poll(() => served.pool.state().inFlight).toBe(1)
      await provider.edit(served.directory, 'v20')
      const swapped = served.rebuild()
      expect((await slow).body.toString()).toBe('slept')
      await swapped
      expect((await served.ask('/version')).body.toString()).toBe('v20')
      await expect.poll(() => served.pool.state().draining, { timeout: 5000 }).toBe(0)
    })

    test('disposing leaves no child process and no temporary file', async () => {
      await served[Symbol.asyncDispose]()
      await expect.poll(children, { timeout: 5000 }).toEqual([])
      await expect.poll(() => readdir(temporary), { timeout: 5000 }).toEqual([])
      await rm(temporary, { recursive: true })
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
    })
  })
}

/** For `edit`: replaces the version a fixture answers. */
export async function replaceVersion(file: string, version: string): Promise<string> {
  return (await readFile(file, 'utf8')).replace(/\bv\d+\b/, version)
}
