import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'

import { WebSocketServer } from 'ws'

import { errorMessage } from '../../../core/errors.ts'
import type { Target } from './target.ts'

export interface InspectServerOptions {
  readonly port: number
  /** In the order in which they are offered: editors take the first. */
  targets(): readonly Target[]
  tell(level: 'info' | 'warn', text: string): void
}

/**
 * What debuggers look for at a port: the list of targets as Node.js and Chrome serve it, and a WebSocket for each. Only for programs of
 * this machine, and not for pages in its browser: a page has an origin, and a name that was bent to this address is no address.
 */
export class InspectServer implements Disposable {
  readonly #options: InspectServerOptions
  readonly #server: Server
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 0 })

  constructor(options: InspectServerOptions) {
    this.#options = options
    this.#server = createServer((incoming, outgoing) => this.#answer(incoming, outgoing))
    this.#server.on('upgrade', (incoming, socket, head) => this.#upgrade(incoming, socket, head))
    this.#server.on('error', (error) => this.#fail(error))
    this.#server.listen(options.port, '127.0.0.1', () =>
      options.tell('info', `debuggers attach at 127.0.0.1:${options.port}`),
    )
    this.#server.unref()
  }

  #fail(error: Error): void {
    const { port } = this.#options
    const isTaken = 'code' in error && error.code === 'EADDRINUSE'
    const reason = isTaken ? 'the port is in use' : errorMessage(error)
    this.#options.tell(
      'warn',
      `no debugger can attach at 127.0.0.1:${port}: ${reason}. Choose another one with --inspect=PORT`,
    )
  }

  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const host = localHost(incoming)
    const body = host === undefined ? undefined : this.#listing(incoming.url ?? '/', host)
    if (incoming.method !== 'GET' || body === undefined) {
      outgoing.writeHead(host === undefined ? 403 : 404, { 'content-type': 'text/plain' })
      outgoing.end(host === undefined ? 'Only for programs of this machine.' : 'Not found')
      return
    }
    outgoing.writeHead(200, {
      'content-type': 'application/json; charset=UTF-8',
      'cache-control': 'no-cache',
    })
    outgoing.end(JSON.stringify(body, undefined, 2))
  }

  #listing(target: string, host: string): unknown {
    const [path] = target.split('?')
    if (path === '/json/version') return { Browser: 'flexi (workerd)', 'Protocol-Version': '1.3' }
    if (path !== '/json' && path !== '/json/list') return undefined
    return this.#options.targets().map(({ id, name }) => {
      const frontend = `devtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws=${host}/${id}`
      return {
        id,
        type: 'node',
        title: `${name} (Cloudflare Worker)`,
        description: 'a worker that flexi runs',
        url: `worker://${name}`,
        webSocketDebuggerUrl: `ws://${host}/${id}`,
        devtoolsFrontendUrl: frontend,
        devtoolsFrontendUrlCompat: frontend,
        faviconUrl: 'https://workers.cloudflare.com/favicon.ico',
      }
    })
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const id = (incoming.url ?? '').slice(1).split('?')[0]
    const target = this.#options.targets().find((one) => one.id === id)
    const isAllowed = localHost(incoming) !== undefined && !isWebPage(incoming.headers.origin)
    // Nobody else listens to it from here on: a client that is gone must not end us.
    socket.on('error', () => socket.destroy())
    if (!isAllowed || target === undefined) {
      const status = isAllowed ? '404 Not Found' : '403 Forbidden'
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy())
      return
    }
    this.#sockets.handleUpgrade(incoming, socket, head, (client) => target.connect(client))
  }

  [Symbol.dispose](): void {
    this.#server.close()
    this.#server.closeAllConnections()
    for (const client of this.#sockets.clients) client.terminate()
  }
}

/** `Host`, when it is an address or `localhost`: what a name of somebody else's leads to here came over a bent DNS. */
function localHost({ headers: { host = '' } }: IncomingMessage): string | undefined {
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(host)?.[1]?.toLowerCase() ?? ''
  const isLocal = name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0
  return isLocal ? host : undefined
}

/** DevTools have `devtools://devtools`, editors none. */
function isWebPage(origin: string | undefined): boolean {
  return origin !== undefined && !/^(?:chrome-)?devtools:\/\//.test(origin)
}
