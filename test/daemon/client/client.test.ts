import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'

import { afterEach, describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import { parseDaemonAddress } from '../../../src/daemon/client/address.ts'
import { openClient } from '../../../src/daemon/client/client.ts'
import type { DeploymentEvent, Digest } from '../../../src/daemon/model.ts'
import { issueAuthority, issueLeaf, newKey } from '../../../src/tls/issue.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A server that answers as the test says; its address. */
async function serve(
  listener: RequestListener,
  prepare: (server: Server) => void = () => undefined,
): Promise<string> {
  const server = createServer(listener)
  prepare(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const clientOf = (url: string, signal?: AbortSignal) =>
  openClient({ address: parseDaemonAddress(url), token: 'a-token-of-ada', signal })

function answer(
  outgoing: ServerResponse,
  status: number,
  body: unknown,
  fields: Record<string, string> = {},
): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', ...fields })
  outgoing.end(body === undefined ? undefined : JSON.stringify(body))
}

async function failureOf(task: Promise<unknown>): Promise<FlexiError> {
  const error: unknown = await task.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(FlexiError)
  return error as FlexiError
}

const DIGEST = 'ab'.repeat(32) as Digest

describe('what is asked', () => {
  test('has the token, and nothing of the token in its path', async () => {
    const seen: IncomingMessage[] = []
    const url = await serve((incoming, outgoing) => {
      seen.push(incoming)
      answer(outgoing, 200, [])
    })
    await clientOf(url).functions({ project: 'my shop&co' })
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/api/functions?project=my+shop%26co' })
    expect(seen[0]?.headers.authorization).toBe('Bearer a-token-of-ada')
  })

  test('is one part of a path, whatever a name holds', async () => {
    const seen: (string | undefined)[] = []
    const url = await serve((incoming, outgoing) => {
      seen.push(incoming.url)
      answer(outgoing, 200, {})
    })
    await clientOf(url).function('../users?x=1#y')
    await clientOf(url).removeVersion({ name: 'hello', version: 'v3' })
    expect(seen).toEqual(['/api/functions/..%2Fusers%3Fx%3D1%23y', '/api/remove/hello@v3'])
  })

  test('goes over the socket of the operator, without a token', async () => {
    const path = join(tmpdir(), `flexi-client-${process.pid}.sock`)
    const seen: IncomingMessage[] = []
    const server = createServer((incoming, outgoing) => {
      seen.push(incoming)
      answer(outgoing, 200, { user: 'root' })
    }).listen(path)
    await once(server, 'listening')
    closers.push(() => server.close().closeAllConnections())
    const client = openClient({ address: parseDaemonAddress(`unix:${path}`), token: undefined })
    expect(await client.whoami()).toMatchObject({ user: 'root' })
    expect(seen[0]?.headers).toMatchObject({ host: 'localhost' })
    expect(seen[0]?.headers.authorization).toBeUndefined()
  })

  test('is not sent on to where a redirect leads, and neither is the token', async () => {
    let asked = 0
    const other = await serve((_, outgoing) => {
      asked++
      answer(outgoing, 200, {})
    })
    const url = await serve((_, outgoing) => answer(outgoing, 302, undefined, { location: other }))
    expect((await failureOf(clientOf(url).whoami())).code).toBe('FLEXI_DAEMON')
    expect(asked).toBe(0)
  })
})

describe('an upload', () => {
  const upload = (bytes: number, onProgress?: (sent: number) => void) => {
    const stream = Readable.from(
      (function* () {
        for (let left = bytes; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536), 'x')
      })(),
      { objectMode: false },
    )
    return { stream, bytes, onProgress }
  }

  test('arrives whole, and tells how far it is', async () => {
    let received = 0
    const url = await serve((incoming, outgoing) => {
      void buffer(incoming).then((content) => {
        received = content.length
        answer(outgoing, 200, undefined)
      })
    })
    const progress: number[] = []
    await clientOf(url).putArtifact(
      DIGEST,
      upload(3_000_000, (sent) => progress.push(sent)),
    )
    expect(received).toBe(3_000_000)
    expect(progress.at(-1)).toBe(3_000_000)
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
  })

  test('that is refused is not sent', async () => {
    let received = 0
    const refuse = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
      incoming.on('data', (chunk: Buffer) => (received += chunk.length))
      answer(outgoing, 413, { error: 'ada has used up her room', code: 'FLEXI_QUOTA' })
    }
    const url = await serve(refuse, (server) => server.on('checkContinue', refuse))
    const content = upload(50_000_000)
    expect(await failureOf(clientOf(url).putArtifact(DIGEST, content))).toMatchObject({
      code: 'FLEXI_QUOTA',
      message: 'ada has used up her room',
    })
    expect(received).toBe(0)
    expect(content.stream.destroyed).toBe(true)
  })

  test('goes on to a server that never says 100 Continue', async () => {
    const url = await serve(
      () => undefined,
      (server) =>
        server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => {
          void buffer(incoming).then(() => answer(outgoing, 200, undefined))
        }),
    )
    await expect(clientOf(url).putArtifact(DIGEST, upload(100_000))).resolves.toBeUndefined()
  })

  test('whose content cannot be read is no upload', async () => {
    const url = await serve((incoming, outgoing) => {
      incoming
        .on('error', () => undefined)
        .resume()
        .on('end', () => answer(outgoing, 200, undefined))
    })
    const stream = new Readable({ read: (): void => void stream.destroy(new Error('the disk is gone')) })
    const error = await failureOf(clientOf(url).putArtifact(DIGEST, { stream, bytes: 10 }))
    expect(error.code).toBe('FLEXI_DAEMON')
  })

  test('that the daemon breaks off fails, and ends', async () => {
    const url = await serve((incoming) => {
      incoming.once('data', () => incoming.socket.destroy())
    })
    expect((await failureOf(clientOf(url).putArtifact(DIGEST, upload(50_000_000)))).code).toBe('FLEXI_DAEMON')
  })
})

describe('a refusal', () => {
  test("has the daemon's own code, sentence and hint", async () => {
    const url = await serve((_, outgoing) =>
      answer(outgoing, 409, { error: 'it runs', code: 'FLEXI_CONFLICT', hint: 'Stop it.' }),
    )
    const error = await failureOf(clientOf(url).start('hello'))
    expect(error).toMatchObject({
      code: 'FLEXI_CONFLICT',
      message: 'it runs',
      hint: 'Stop it.',
      oclif: { exit: 1 },
    })
  })

  test.each([
    [401, 'FLEXI_UNAUTHENTICATED'],
    [403, 'FLEXI_FORBIDDEN'],
    [404, 'FLEXI_NO_INPUT'],
    [422, 'FLEXI_USAGE'],
    [500, 'FLEXI_DAEMON'],
  ])('%i without a code that is known is %s', async (status, code) => {
    const url = await serve((_, outgoing) =>
      answer(outgoing, status, { error: 'no', code: 'FLEXI_OF_TOMORROW' }),
    )
    expect((await failureOf(clientOf(url).whoami())).code).toBe(code)
  })

  test('for want of a login says how to log in', async () => {
    const url = await serve((_, outgoing) => answer(outgoing, 401, { error: 'no token' }))
    expect((await failureOf(clientOf(url).whoami())).hint).toBe(
      `Run "flexi login ${url}", or set FLEXI_TOKEN.`,
    )
  })

  test('of HEAD, which has no body, is one too', async () => {
    const url = await serve((_, outgoing) => answer(outgoing, 403, undefined))
    expect((await failureOf(clientOf(url).hasArtifact(DIGEST))).code).toBe('FLEXI_FORBIDDEN')
  })

  test('by too many requests says when to come back', async () => {
    const url = await serve((_, outgoing) =>
      answer(outgoing, 429, { error: 'too often' }, { 'retry-after': '7' }),
    )
    expect(await failureOf(clientOf(url).whoami())).toMatchObject({
      code: 'FLEXI_RATE_LIMIT',
      retryAfterSeconds: 7,
      hint: 'Try again in 7 s.',
    })
  })

  test("by a daemon's own bug is no bug of the command", async () => {
    const url = await serve((_, outgoing) => answer(outgoing, 500, { error: 'oh', code: 'FLEXI_BUG' }))
    expect((await failureOf(clientOf(url).whoami())).code).toBe('FLEXI_DAEMON')
  })
})

describe('who is no daemon', () => {
  test('is said to be none: a page, a text, an answer of another shape', async () => {
    const page = await serve((_, outgoing) => {
      outgoing.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not Found</h1>')
    })
    expect((await failureOf(clientOf(page).whoami())).message).toBe(
      `what answers at ${page} is no flexi daemon (404, text/html)`,
    )
    const words = await serve((_, outgoing) => {
      outgoing.end('It works!')
    })
    expect((await failureOf(clientOf(words).whoami())).message).toContain('its answer is no JSON')
  })

  test('does not listen', async () => {
    const url = await serve(() => undefined)
    closers.splice(0).forEach((close) => close())
    expect(await failureOf(clientOf(url).whoami())).toMatchObject({
      code: 'FLEXI_DAEMON',
      message: `no daemon listens at ${url}`,
      oclif: { exit: 69 },
    })
    expect((await failureOf(clientOf('unix:/nowhere/flexi.sock').whoami())).message).toContain(
      'no daemon listens',
    )
  })

  test('speaks something else', async () => {
    const server = createTcpServer((socket) => void socket.on('error', () => undefined).end('SSH-2.0-x\r\n'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closers.push(() => server.close())
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    expect((await failureOf(clientOf(`http://${host}`).whoami())).message).toContain('does not speak HTTP')
    expect((await failureOf(clientOf(`https://${host}`).whoami())).message).toMatch(
      /does not speak TLS|broke off/,
    )
  })

  test('ends in the middle of an answer', async () => {
    const url = await serve((_, outgoing) => {
      outgoing.writeHead(200, { 'content-length': 100 }).write('{"a":')
      setImmediate(() => outgoing.destroy())
    })
    expect((await failureOf(clientOf(url).whoami())).message).toContain('broke off')
  })
})

describe('a daemon that speaks TLS', () => {
  test("is trusted where flexi's own authority on this machine stands for it, and nowhere else", async () => {
    const folder = mkdtempSync(join(tmpdir(), 'flexi-client-ca-'))
    const before = process.env['FLEXI_CA_DIR']
    closers.push(() => {
      rmSync(folder, { recursive: true, force: true })
      if (before === undefined) delete process.env['FLEXI_CA_DIR']
      else process.env['FLEXI_CA_DIR'] = before
    })
    const authorityKey = await newKey()
    const authority = await issueAuthority(authorityKey, 'a test')
    const { cert, key } = await issueLeaf(['localhost'], { cert: authority, key: authorityKey })
    const server = createTlsServer({ cert, key }, (_, outgoing) => answer(outgoing, 200, { user: 'ada' }))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closers.push(() => server.close().closeAllConnections())
    const url = `https://localhost:${(server.address() as AddressInfo).port}`
    process.env['FLEXI_CA_DIR'] = folder
    expect((await failureOf(clientOf(url).whoami())).message).toMatch(/certificate of .* is not trusted/)
    writeFileSync(join(folder, 'ca.pem'), authority)
    expect(await clientOf(url).whoami()).toEqual({ user: 'ada' })
    const other = url.replace('localhost', '127.0.0.1')
    expect((await failureOf(clientOf(other).whoami())).message).toContain('is for other names')
  })
})

describe('a deployment', () => {
  const BODY = { project: 'shop', alias: 'live', parts: [] }
  const collect = async (events: AsyncIterable<DeploymentEvent>): Promise<DeploymentEvent[]> => {
    const all: DeploymentEvent[] = []
    for await (const event of events) all.push(event)
    return all
  }

  test('ends with its last event, although the connection stays open', async () => {
    let sent = ''
    const url = await serve((incoming, outgoing) => {
      void text(incoming).then((body) => {
        sent = body
        outgoing.write('{"event":"state","state":"received"}\n\n')
        outgoing.write('{"event":"done","id":"1","functions":[],"durationMs":3}\n')
      })
    })
    const events = await collect(clientOf(url).deploy(BODY))
    expect(events.map(({ event }) => event)).toEqual(['state', 'done'])
    expect(JSON.parse(sent)).toEqual(BODY)
  })

  test('that is cut off is not taken for one that went well', async () => {
    const ended = await serve((_, outgoing) => void outgoing.end('{"event":"state","state":"received"}\n'))
    expect(await failureOf(collect(clientOf(ended).deploy(BODY)))).toMatchObject({
      code: 'FLEXI_DAEMON',
      message: 'the daemon ended before the deployment did',
    })
    const broken = await serve((_, outgoing) => {
      outgoing.write('{"event":"state","state":"received"}\n')
      setImmediate(() => outgoing.destroy())
    })
    expect((await failureOf(collect(clientOf(broken).deploy(BODY)))).code).toBe('FLEXI_DAEMON')
  })

  test('ends at once for who has had enough, and the daemon sees it', async () => {
    const gone = deferred()
    const url = await serve((_, outgoing) => {
      outgoing.write('{"event":"state","state":"received"}\n')
      outgoing.once('close', () => gone.resolve(undefined))
    })
    const controller = new AbortController()
    const events = clientOf(url, controller.signal).deploy(BODY)[Symbol.asyncIterator]()
    await events.next()
    controller.abort()
    await expect(events.next()).rejects.toMatchObject({ name: 'AbortError' })
    await gone.promise
  })
})

function deferred(): { promise: Promise<unknown>; resolve: (value: unknown) => void } {
  let resolve: (value: unknown) => void = () => undefined
  const promise = new Promise((done) => (resolve = done))
  return { promise, resolve }
}
