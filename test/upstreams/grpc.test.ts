import { once } from 'node:events'

import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'

import { closedPort, proxyTo, type TestProxy } from './harness.ts'

const bytes = (value: string): Buffer => Buffer.from(value)
const text = (value: Buffer): string => value.toString()
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: text,
  responseSerialize: bytes,
  responseDeserialize: text,
})
const METHODS = {
  unary: method('Unary', false, false),
  fails: method('Fails', false, false),
  hangs: method('Hangs', false, false),
  down: method('Down', false, true),
  both: method('Both', true, true),
} satisfies ServiceDefinition

interface GrpcOrigin extends AsyncDisposable {
  readonly url: string
  /** Calls of `hangs` that the client gave up. */
  cancelled(): number
}

async function grpcOrigin(): Promise<GrpcOrigin> {
  const server = new Server()
  let cancelled = 0
  const unary: handleUnaryCall<string, string> = (call, done) => {
    const trailer = new Metadata()
    trailer.set('x-trailer', 'yes')
    done(null, `${call.request} ${String(call.metadata.get('x-user')[0])}`, trailer)
  }
  const fails: handleUnaryCall<string, string> = (_call, done) => {
    done({ code: status.NOT_FOUND, details: 'no such thing' })
  }
  const hangs: handleUnaryCall<string, string> = (call) => {
    call.on('cancelled', () => cancelled++)
  }
  const down: handleServerStreamingCall<string, string> = (call) => {
    for (let i = 0; i < 100; i++) call.write(`${call.request} ${i}`)
    call.end()
  }
  const both: handleBidiStreamingCall<string, string> = (call) => {
    call.on('data', (message: string) => call.write(message.toUpperCase()))
    call.on('end', () => call.end())
  }
  server.addService(METHODS, { unary, fails, hangs, down, both })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  return {
    url: `http://127.0.0.1:${port}`,
    cancelled: () => cancelled,
    [Symbol.asyncDispose]() {
      server.forceShutdown()
      return Promise.resolve()
    },
  }
}

function clientOf(proxy: TestProxy): Client & Disposable {
  const client = new Client(`127.0.0.1:${proxy.gateway.port}`, credentials.createInsecure())
  return Object.assign(client, { [Symbol.dispose]: () => client.close() })
}

interface Answer {
  readonly error: ServiceError | null
  readonly value: string | undefined
  readonly trailer: unknown
}

function ask(
  client: Client,
  name: keyof typeof METHODS,
  request: string,
  timeoutMs = 5_000,
): Promise<Answer> {
  const { path } = METHODS[name]
  const metadata = new Metadata()
  metadata.set('x-user', 'ada')
  return new Promise((resolve) => {
    let trailer: unknown
    const deadline = Date.now() + timeoutMs
    const call = client.makeUnaryRequest(
      path,
      bytes,
      text,
      request,
      metadata,
      { deadline },
      (error, value) => {
        // The status event comes before or after; its metadata is that of the trailers.
        setImmediate(() => resolve({ error, value, trailer }))
      },
    )
    call.on('status', (ended) => {
      ;[trailer] = ended.metadata.get('x-trailer')
    })
  })
}

describe('gRPC through the gateway, with the client and the server of grpc-js', () => {
  test('a call and its answer, fields and trailers', async () => {
    await using upstream = await grpcOrigin()
    await using proxy = await proxyTo([upstream.url], { http2: true })
    using client = clientOf(proxy)
    expect(await ask(client, 'unary', 'hello')).toEqual({ error: null, value: 'hello ada', trailer: 'yes' })
    const big = 'x'.repeat(1_000_000)
    expect((await ask(client, 'unary', big)).value).toBe(`${big} ada`)
  })

  test('a status of the server is a status of the server', async () => {
    await using upstream = await grpcOrigin()
    await using proxy = await proxyTo([upstream.url], { http2: true })
    using client = clientOf(proxy)
    const { error } = await ask(client, 'fails', 'x')
    expect([error?.code, error?.details]).toEqual([status.NOT_FOUND, 'no such thing'])
  })

  test('streams down, and both ways at once', async () => {
    await using upstream = await grpcOrigin()
    await using proxy = await proxyTo([upstream.url], { http2: true })
    using client = clientOf(proxy)
    const messages: string[] = []
    const down = client.makeServerStreamRequest(METHODS.down.path, bytes, text, 'n')
    down.on('data', (message: string) => messages.push(message))
    await once(down, 'end')
    expect(messages).toHaveLength(100)
    expect(messages[99]).toBe('n 99')

    const both = client.makeBidiStreamRequest(METHODS.both.path, bytes, text)
    for (const word of ['one', 'two', 'three']) {
      both.write(word)
      expect((await once(both, 'data'))[0]).toBe(word.toUpperCase())
    }
    both.end()
    both.resume()
    const [ended] = (await once(both, 'status')) as [{ code: number }]
    expect(ended.code).toBe(status.OK)
  })

  test('a client’s deadline ends the call at the server too', async () => {
    await using upstream = await grpcOrigin()
    await using proxy = await proxyTo([upstream.url], { http2: true })
    using client = clientOf(proxy)
    const { error } = await ask(client, 'hangs', 'x', 150)
    expect(error?.code).toBe(status.DEADLINE_EXCEEDED)
    await expect.poll(() => upstream.cancelled()).toBe(1)
    await expect.poll(() => proxy.upstream.states()[0]?.inFlight).toBe(0)
  })

  test('calls are balanced one by one over one connection, and pass over an origin that is down', async () => {
    await using one = await grpcOrigin()
    await using two = await grpcOrigin()
    await using proxy = await proxyTo([one.url, `http://127.0.0.1:${await closedPort()}`, two.url], {
      http2: true,
    })
    using client = clientOf(proxy)
    for (let i = 0; i < 6; i++) expect((await ask(client, 'unary', String(i))).error).toBeNull()
    const origins = new Set(proxy.records.map(({ notes }) => notes['upstream']))
    expect(origins).toEqual(new Set([one.url, two.url]))
  })

  test('without any origin the call is unavailable', async () => {
    await using proxy = await proxyTo([`http://127.0.0.1:${await closedPort()}`], { http2: true })
    using client = clientOf(proxy)
    expect((await ask(client, 'unary', 'x')).error?.code).toBe(status.UNAVAILABLE)
  })
})
