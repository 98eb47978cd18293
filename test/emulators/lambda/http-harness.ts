import { rm } from 'node:fs/promises'
import { request, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'

import type { SocketFetcher } from '../../../src/core/fetcher.ts'
import type { FunctionConfig, FunctionFault } from '../../../src/core/function.ts'
import { createLogger, silentLogger } from '../../../src/core/log.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { parseTemplate, type RouteRule } from '../../../src/core/route.ts'
import { placeGuards } from '../../../src/emulators/lambda/front-ends/place-guard.ts'
import type { RouteOptions } from '../../../src/emulators/lambda/front-ends/route-options.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import { openGateway } from '../../../src/gateway/gateway.ts'
import type { BoundRoute } from '../../../src/gateway/route-table.ts'
import { Pool } from '../../../src/instances/pool.ts'
import { temporaryFolder } from './harness.ts'
import { testScope } from '../../scope.ts'

interface ApiRoute {
  /** `GET /users/{id}`, `ANY /{proxy+}`, `$default`. */
  readonly route: string
  /** An export of the code. */
  readonly function: string
  readonly options: RouteOptions
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly bytes: Buffer
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Uint8Array
}

export interface ServedApi extends AsyncDisposable {
  readonly faults: FunctionFault[]
  /** Messages of warnings. */
  readonly warnings: string[]
  readonly port: number
  ask(path: string, options?: AskOptions): Promise<ApiAnswer>
}

export interface ApiSetup {
  /** An ES module: each export is a function of that name. */
  readonly code: string
  readonly functions: readonly string[]
  readonly routes: readonly ApiRoute[]
  readonly config?: Partial<FunctionConfig>
  /** More rules, made of those of `routes`. */
  readonly derive?: (rules: readonly RouteRule[]) => readonly RouteRule[]
}

/** Functions of one module behind routes with options, as an application has them. */
export async function serveApi({ code, functions, routes, config, derive }: ApiSetup): Promise<ServedApi> {
  const directory = await temporaryFolder({ 'app.mjs': code })
  const faults: FunctionFault[] = []
  const warnings: string[] = []
  const log = createLogger((record) => {
    if (record.level === 'warn') warnings.push(String(record.fields['message']))
  }, 'warn')
  const opened = await Promise.all(functions.map((name) => openPool(name, { directory, faults, config })))
  const byName = new Map(opened.map((one) => [one.config.name, one]))
  const closing = new AbortController()
  const place = placeGuards({
    log,
    app: {},
    closing: closing.signal,
    invoke: async (name, payload, context) => {
      const pool = byName.get(name)?.pool
      if (pool === undefined) throw new Error(`no function is called ${name}`)
      return await pool.invoke(payload, context)
    },
  })
  const bound = async (rule: RouteRule): Promise<BoundRoute> => {
    const one = rule.target.kind === 'function' ? byName.get(rule.target.name) : undefined
    if (one === undefined) throw new Error(`${rule.pattern} has no function`)
    const address = { config: one.config, options: rule.options }
    return { rule, fetcher: (await place(address, one.pool)) ?? one.pool }
  }
  const own = async ({ config: of, pool }: (typeof opened)[number]): Promise<[string, SocketFetcher]> => [
    of.name,
    (await place({ config: of, options: undefined }, pool)) ?? pool,
  ]
  const rules = routes.map((route) => ruleOf(route, directory))
  const gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    mode: 'serve',
    table: {
      routes: await Promise.all([...rules, ...(derive?.(rules) ?? [])].map(bound)),
      functions: new Map(await Promise.all(opened.map(own))),
    },
    log: silentLogger,
    onAccess: () => undefined,
    paths: 'raw',
  })
  return {
    faults,
    warnings,
    port: gateway.port,
    ask: (path, options) => askPort(gateway.port, path, options),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await gateway[Symbol.asyncDispose]()
      await Promise.all(opened.map((one) => one[Symbol.asyncDispose]()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}

interface PoolParts {
  readonly directory: AbsolutePath
  readonly faults: FunctionFault[]
  readonly config: Partial<FunctionConfig> | undefined
}

async function openPool(name: string, { directory, faults, config: more }: PoolParts) {
  const config: FunctionConfig = {
    name,
    provider: 'lambda',
    directory,
    origin: { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 },
    environment: {},
    ...more,
    options: { handler: `app.${name}` },
  }
  const scope = testScope(directory, { mode: 'serve', report: (fault) => faults.push(fault) })
  const source = await lambda.open(config, scope)
  const pool = new Pool({ name, log: silentLogger })
  await pool.replace(await source.build())
  return {
    config: { ...config, options: { ...config.options, ...more?.options } },
    pool,
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]()
      await source[Symbol.asyncDispose]()
    },
  }
}

function ruleOf({ route, function: name, options }: ApiRoute, directory: string): RouteRule {
  const [method, path] = route.split(' ')
  return {
    matcher: {
      kind: 'template',
      method: method === 'ANY' || path === undefined ? undefined : method,
      segments: path === undefined ? undefined : parseTemplate(path),
    },
    target: { kind: 'function', name },
    pattern: route,
    origin: { file: join(directory, 'template.yaml'), line: 1, column: 1 },
    options: { routeKey: route, resource: path, ...options },
  }
}

/** One request on a connection of its own. */
export function askPort(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body }: AskOptions = {},
): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const bytes = Buffer.concat(chunks)
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: bytes.toString(),
          bytes,
        })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
