import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { createLogger } from '../../src/core/log.ts'
import type { UpstreamOrigin, UpstreamSettings } from '../../src/core/upstream.ts'
import { openUpstream, type Upstream, type UpstreamTools } from '../../src/upstreams/upstream.ts'
import { openTest, type TestGateway } from '../gateway/harness.ts'

export interface TestProxy extends TestGateway {
  readonly upstream: Upstream
  /** `upstream.down http://… reason`, in order. */
  readonly events: string[]
}

/** A gateway whose only route leads to these origins. */
export async function proxyTo(
  origins: readonly (string | UpstreamOrigin)[],
  settings: UpstreamSettings = {},
  tools: UpstreamTools = {},
): Promise<TestProxy> {
  const events: string[] = []
  const log = createLogger(({ event, fields }) => {
    const told = [fields['origin'], fields['reason']].filter((part) => typeof part === 'string')
    events.push([event, ...told].join(' '))
  })
  const list = origins.map((one) => (typeof one === 'string' ? { url: one } : one))
  const upstream = await openUpstream(list, settings, { log, ...tools })
  const gateway = await openTest(upstream)
  return {
    ...gateway,
    upstream,
    events,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

export interface TestOrigin extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly server: Server
  /** Requests it got, health checks included. */
  readonly seen: IncomingMessage[]
  /** Cuts every connection and listens no more. */
  stop(): Promise<void>
}

/** A server that answers with its name, or as it is told. */
export async function origin(name: string, answer?: RequestListener, port = 0): Promise<TestOrigin> {
  const seen: IncomingMessage[] = []
  const server = createServer((incoming, outgoing) => {
    seen.push(incoming)
    if (answer === undefined) outgoing.end(name)
    else answer(incoming, outgoing)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address() as AddressInfo
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    server,
    seen,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** A port where nothing listens. */
export async function closedPort(): Promise<number> {
  await using closed = await origin('closed')
  return closed.port
}

export async function get(url: string, fields: Record<string, string> = {}): Promise<string> {
  const response = await fetch(url, { headers: fields })
  return response.ok ? response.text() : String(response.status)
}

/** The answers to so many requests, one after the other. */
export async function answers(url: string, count: number): Promise<string[]> {
  const list: string[] = []
  for (let i = 0; i < count; i++) list.push(await get(url))
  return list
}
