import { errorMessage } from '../core/errors.ts'
import type { FunctionConfig } from '../core/function.ts'
import type { Logger } from '../core/log.ts'
import type { RouteRule } from '../core/route.ts'
import { openGateway, type Gateway, type GatewayOptions } from '../gateway/gateway.ts'
import type { LiveProject } from './live-project.ts'

export interface FunctionPortsOptions {
  readonly live: LiveProject
  readonly log: Logger
  /** As the main server has them, but its port and what it answers with. */
  readonly gateway: Omit<GatewayOptions, 'table'>
}

/** Servers of functions that have a port of their own. */
export interface FunctionPorts extends AsyncDisposable {
  /** Serves what the project in force says. Never rejects: a port that cannot be had is a warning, and tried again at the next change. */
  update(): Promise<void>
}

interface Open {
  readonly name: string
  readonly gateway: Gateway
}

export function openFunctionPorts(options: FunctionPortsOptions): FunctionPorts {
  const { live } = options
  const open = new Map<number, Open>()
  let turn: Promise<void> = Promise.resolve()
  const update = async (): Promise<void> => {
    const wanted = new Map(
      live.project.functions.flatMap((config) =>
        config.port === undefined ? [] : [[config.port, config] as const],
      ),
    )
    const gone = [...open].filter(([port, { name }]) => wanted.get(port)?.name !== name)
    for (const [port] of gone) open.delete(port)
    await Promise.all(gone.map(([, { gateway }]) => gateway[Symbol.asyncDispose]()))
    await Promise.all([...wanted].map(([port, config]) => serve(port, config, { open, ...options })))
  }
  return {
    update() {
      turn = turn.then(update)
      return turn
    },
    async [Symbol.asyncDispose]() {
      await turn
      await Promise.all([...open.values()].map(({ gateway }) => gateway[Symbol.asyncDispose]()))
    },
  }
}

async function serve(
  port: number,
  config: FunctionConfig,
  { open, live, log, gateway: main }: FunctionPortsOptions & { readonly open: Map<number, Open> },
): Promise<void> {
  const { name } = config
  const { fd: _fd, ...options } = main
  const own = { ...options, portFallback: false }
  try {
    const table = await live.bind({ ...live.project, routes: [rootRule(config)] })
    const there = open.get(port)
    if (there !== undefined) {
      there.gateway.swap(table)
      return
    }
    open.set(port, { name, gateway: await openGateway({ ...own, port, table }) })
    live.portless.delete(name)
  } catch (error) {
    live.portless.add(name)
    log.warn('function.port', {
      function: name,
      message: `${name} cannot have its port ${port}: ${errorMessage(error)}; its other addresses are served`,
    })
  }
}

function rootRule({ name, origin }: FunctionConfig): RouteRule {
  return {
    matcher: { kind: 'path', path: '/' },
    target: { kind: 'function', name },
    pattern: '/',
    origin,
  }
}
