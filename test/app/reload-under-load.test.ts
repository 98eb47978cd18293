import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'

import { startApp, type App } from '../../src/app.ts'
import type { DevEvent } from '../../src/core/events.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { httpUpstream } from '../gateway/harness.ts'
import { temporaryFolder } from './flexi-process.ts'

const CONNECTIONS = 64
const RELOADS = 50

/**
 * Clients that each ask over one kept-alive connection, the next request at the end of the last answer. Everything but a 200 with a body that is
 * expected is a failure, and so is a connection that does not stay.
 */
class Load {
  requests = 0
  readonly failures: string[] = []
  readonly seen = new Map<string, number>()
  readonly #sockets: Socket[]
  readonly #bodies: ReadonlySet<string>
  #stopping = false

  constructor(port: number, bodies: readonly string[]) {
    this.#bodies = new Set(bodies)
    this.#sockets = Array.from({ length: CONNECTIONS }, () => this.#open(port))
  }

  /** Lets every client end the answer it waits for. */
  async stop(): Promise<void> {
    this.#stopping = true
    const open = this.#sockets.filter((socket) => !socket.closed)
    await Promise.all(open.map((socket) => once(socket, 'close')))
  }

  #open(port: number): Socket {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1').setNoDelay(true)
    let received = ''
    const send = (): void => {
      received = ''
      socket.write('GET /hello HTTP/1.1\r\nHost: a\r\n\r\n')
    }
    socket.on('connect', send)
    socket.on('data', (text: string) => {
      received += text
      const answer = /^HTTP\/1\.1 (\d+)[^]*?\r\n\r\n([^]*)$/.exec(received)
      const length = /^content-length: (\d+)/im.exec(received)?.[1]
      if (answer?.[2] === undefined || answer[2].length < Number(length ?? Infinity)) return
      this.#judge(answer[1] ?? '', answer[2])
      if (this.#stopping) socket.end()
      else send()
    })
    socket.on('error', (error) => this.failures.push(error.message))
    socket.on('close', () => this.#stopping || this.failures.push(`closed after ${JSON.stringify(received)}`))
    return socket
  }

  #judge(status: string, body: string): void {
    this.requests += 1
    this.seen.set(body, (this.seen.get(body) ?? 0) + 1)
    if (status !== '200' || !this.#bodies.has(body)) this.failures.push(`${status} ${body}`)
  }
}

/** Answers its own name at once, now and then a little later, and echoes over WebSockets. */
async function namedUpstream(name: string) {
  let turn = 0
  const answer = async (_incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    turn += 1
    // Answers of more than one round of the event loop, so that reloads meet requests in every state.
    if (turn % 7 === 0) await sleep(5)
    outgoing.writeHead(200, { 'Content-Length': name.length })
    outgoing.write(name.slice(0, 1))
    if (turn % 11 === 0) await sleep(5)
    outgoing.end(name.slice(1))
  }
  const upstream = await httpUpstream(answer)
  const sockets = new WebSocketServer({ server: upstream.server })
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  return {
    origin: upstream.origin,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** Says a word and hears it back. */
async function echoes(socket: WebSocket, word: string): Promise<boolean> {
  const answered = once(socket, 'message') as Promise<[Buffer]>
  socket.send(word)
  const [data] = await answered
  return data.toString() === word
}

async function openSockets(app: App): Promise<WebSocket[]> {
  const sockets = [1, 2, 3, 4].map(() => new WebSocket(`${app.url.replace('http', 'ws')}/chat`))
  await Promise.all(sockets.map((socket) => once(socket, 'open')))
  return sockets
}

interface Serving extends AsyncDisposable {
  readonly app: App
  /** Resolves with the configuration event that follows the write. */
  rewrite(text: string): Promise<void>
  write(text: string): Promise<void>
}

async function serve(name: string, text: string, watch: boolean): Promise<Serving> {
  const folder = await temporaryFolder()
  const file = join(folder.path, name)
  await writeFile(file, text)
  let told: ((event: DevEvent) => void) | undefined
  const app = await startApp({
    directory: folder.path as AbsolutePath,
    mode: 'dev',
    host: '127.0.0.1',
    port: 0,
    portIsFixed: true,
    environment: {},
    watch,
    startedAt: 0,
    onEvent: (event) => told?.(event),
  })
  return {
    app,
    write: (next) => writeFile(file, next),
    rewrite: (next) =>
      new Promise((resolve, reject) => {
        told = (event) => {
          // A file that is read between its emptying and its writing has a fault, for a moment.
          if (event.event === 'configuration') resolve()
        }
        writeFile(file, next).catch(reject)
      }),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

describe(`${CONNECTIONS} kept-alive connections and open WebSockets do not notice`, () => {
  test(`${RELOADS} rewrites of proxy.ini that change every route`, { timeout: 30_000 }, async () => {
    await using one = await namedUpstream('one')
    await using two = await namedUpstream('second')
    // The route that the WebSockets came by is in every other file only.
    const file = (n: number): string =>
      n % 2 === 0
        ? `/chat = ${one.origin}\n/ = ${one.origin}\n`
        : `/other/${n} = ${one.origin}\n/ = ${two.origin} ${two.origin}/\n`
    await using serving = await serve('proxy.ini', file(0), true)
    const sockets = await openSockets(serving.app)
    const load = new Load(Number(new URL(serving.app.url).port), ['one', 'second'])
    for (let n = 1; n <= RELOADS; n += 1) {
      await serving.rewrite(file(n))
      // Each connection asks under each file, however fast the files follow one another.
      await expect.poll(() => load.requests, { interval: 1 }).toBeGreaterThan(CONNECTIONS * n)
      const heard = await Promise.all(sockets.map((socket) => echoes(socket, `${n}`)))
      expect(heard).toEqual([true, true, true, true])
    }
    await load.stop()
    expect(load.failures).toEqual([])
    // Both were asked, so the files did count.
    expect([...load.seen.keys()].toSorted()).toEqual(['one', 'second'])
    expect(load.requests).toBeGreaterThan(CONNECTIONS * RELOADS)
    for (const socket of sockets) socket.terminate()
  })

  test(
    `${RELOADS} readings of flexi.jsonc on demand, every third of them with a fault`,
    {
      timeout: 30_000,
    },
    async () => {
      await using one = await namedUpstream('one')
      await using two = await namedUpstream('second')
      const routes = (n: number): object[] => [
        { path: '/chat', to: one.origin },
        ...(n % 2 === 0 ? [] : [{ path: `/${n}`, to: './' }]),
        { path: '/', to: n % 2 === 0 ? [one.origin, two.origin] : two.origin },
      ]
      const file = (n: number): string => JSON.stringify({ routes: routes(n) })
      await using serving = await serve('flexi.jsonc', file(0), false)
      const sockets = await openSockets(serving.app)
      const load = new Load(Number(new URL(serving.app.url).port), ['one', 'second'])
      for (let n = 1; n <= RELOADS; n += 1) {
        await serving.write(n % 3 === 0 ? file(n).slice(0, -2) : file(n))
        await serving.app.restart()
        expect(await Promise.all(sockets.map((socket) => echoes(socket, `${n}`)))).not.toContain(false)
      }
      await load.stop()
      expect(load.failures).toEqual([])
      expect(load.requests).toBeGreaterThan(CONNECTIONS)
      for (const socket of sockets) socket.terminate()
    },
  )
})
