import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'

import { describe, expect, test } from 'vitest'

import type { GatewayOptions } from '../../src/gateway/gateway.ts'
import { httpUpstream, openTest, rawUpstream, readAll, text } from './harness.ts'
import { ask, cutMessage, proxyTo, recorder } from './recorder.ts'

const QUICK: Partial<GatewayOptions> = {
  clientTimeouts: { headersMs: 200, requestMs: 600, keepAliveMs: 200 },
}

/** Writes `bytes` one by one until the other side answers or closes, and says how long it took. */
async function drip(
  socket: Socket,
  bytes: string,
  everyMs: number,
): Promise<{ text: string; afterMs: number }> {
  const begun = performance.now()
  let answer = ''
  let at = 0
  const timer = setInterval(() => socket.write(bytes[at++ % bytes.length] ?? ''), everyMs)
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1'))).on('error', () => undefined)
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve))
  clearInterval(timer)
  socket.destroy()
  return { text: answer, afterMs: performance.now() - begun }
}

describe('a client that is slow', () => {
  test('with its head gets 408, however its bytes drip', async () => {
    await using gateway = await openTest(text('ok'), QUICK)
    const socket = await gateway.connect()
    socket.write('GET / HTTP/1.1\r\nHost: h\r\nX: ')
    const { text: answer, afterMs } = await drip(socket, 'a', 20)
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n/)
    expect(afterMs).toBeGreaterThan(150)
    expect(afterMs).toBeLessThan(1_500)
  })

  test('with its content gets 408, and the upstream sees its request cut, not shortened', async () => {
    await using upstream = await recorder()
    await using gateway = await proxyTo(upstream.origin, QUICK)
    const socket = await gateway.connect()
    socket.write('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n')
    const { text: answer, afterMs } = await drip(socket, '1\r\na\r\n', 10)
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(afterMs).toBeGreaterThan(400)
    expect(afterMs).toBeLessThan(3_000)
    expect(upstream.requests).toEqual([])
    expect(upstream.connections.join('')).not.toMatch(/\r\n0\r\n\r\n$/)
    await expect.poll(() => gateway.records).toMatchObject([{ aborted: true }])
  })

  test('to ask again finds its connection closed, without a word', async () => {
    await using gateway = await openTest(text('ok'), QUICK)
    const socket = await gateway.connect()
    const begun = performance.now()
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
    await once(socket, 'end')
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
    expect(performance.now() - begun).toBeLessThan(3_000)
    socket.destroy()
  })

  test('is no reason to cut one that waits for its answer', async () => {
    let answer = (): void => undefined
    await using gateway = await openTest(
      {
        handle(_incoming, outgoing) {
          answer = () => outgoing.end('late')
          return Promise.resolve()
        },
      },
      QUICK,
    )
    const socket = await gateway.connect()
    let received = ''
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    setTimeout(() => answer(), 900)
    await once(socket, 'end')
    expect(received).toMatch(/^HTTP\/1\.1 200 [^]*late/)
  })
})

describe('a client that leaves', () => {
  test.each([
    ['while it waits', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['in the middle of its content', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf'],
    ['in the middle of a chunk', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf'],
    ['while it downloads', 'GET /download HTTP/1.1\r\nHost: h\r\n\r\n'],
  ])('%s: the upstream knows within 100 ms', async (_name, bytes) => {
    let begun = false
    let closedAt = 0
    await using upstream = await rawUpstream((socket, received) => {
      begun = received.includes('\r\n\r\n')
      if (received.includes('/download')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf')
      socket.once('close', () => (closedAt = performance.now())).on('end', () => socket.end())
    })
    await using gateway = await proxyTo(upstream.origin)
    const socket = connect(gateway.gateway.port, '127.0.0.1').on('error', () => undefined)
    socket.write(bytes)
    await expect.poll(() => begun).toBe(true)
    if (bytes.includes('/download')) await once(socket, 'data')
    const leftAt = performance.now()
    socket.resetAndDestroy()
    await expect.poll(() => closedAt, { interval: 5 }).toBeGreaterThan(0)
    expect(closedAt - leftAt).toBeLessThan(100)
    await expect.poll(() => gateway.records).toMatchObject([{ aborted: true }])
    expect(gateway.gateway.inFlight).toBe(0)
  })

  test('by closing, which looks like ending its own side until something is written, is known to have left within 100 ms', async () => {
    let asked = false
    let closedAt = 0
    await using upstream = await rawUpstream((socket) => {
      asked = true
      socket.once('close', () => (closedAt = performance.now()))
    })
    await using gateway = await proxyTo(upstream.origin)
    const socket = connect(gateway.gateway.port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await expect.poll(() => asked).toBe(true)
    const leftAt = performance.now()
    socket.destroy()
    await expect.poll(() => closedAt, { interval: 5 }).toBeGreaterThan(0)
    expect(closedAt - leftAt).toBeLessThan(100)
    await expect.poll(() => gateway.records).toMatchObject([{ status: 499, aborted: true }])
  })

  test('in the middle of an answer that is silent for a while is known to have left', async () => {
    let closed = false
    await using upstream = await httpUpstream((_incoming, outgoing) => {
      outgoing.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
      outgoing.once('close', () => (closed = true))
    })
    await using gateway = await proxyTo(upstream.origin)
    const socket = connect(gateway.gateway.port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await once(socket, 'data')
    socket.destroy()
    await expect.poll(() => closed).toBe(true)
  })

  test.each([0, 120])('by ending its own side alone still gets its answer, after %i ms', async (delayMs) => {
    await using upstream = await httpUpstream((incoming, outgoing) => {
      incoming.resume().on('end', () => setTimeout(() => outgoing.end('whole answer'), delayMs))
    })
    await using gateway = await proxyTo(upstream.origin)
    const socket = connect({ port: gateway.gateway.port, host: '127.0.0.1', allowHalfOpen: true })
    const answer = readAll(socket)
    socket.end('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab')
    // One that waits is asked whether it is still there; the question is no answer (RFC 9110 section 15.2).
    const question = delayMs === 0 ? '' : 'HTTP/1\\.1 100 Continue\r\n\r\n'
    expect(await answer).toMatch(new RegExp(`^${question}HTTP/1\\.1 200 OK\r\n[^]*whole answer`))
    expect(gateway.records).toMatchObject([{ status: 200, aborted: false }])
  })
})

describe('many requests on one connection', () => {
  test('are answered in their order, whatever the upstream is faster with', async () => {
    await using upstream = await httpUpstream((incoming, outgoing) => {
      const { url = '' } = incoming
      setTimeout(() => outgoing.end(url), url === '/0' ? 100 : 0)
    })
    await using gateway = await proxyTo(upstream.origin)
    const requests = Array.from({ length: 10 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: h\r\n\r\n`).join('')
    const { text: answers } = await ask(gateway.gateway.port, requests, { count: 10 })
    const bodies: string[] = []
    for (let rest = answers, whole = cutMessage(rest); whole !== undefined; whole = cutMessage(rest)) {
      rest = rest.slice(whole.length)
      bodies.push(whole.slice(whole.indexOf('\r\n\r\n') + 4))
    }
    expect(bodies).toEqual(Array.from({ length: 10 }, (_, i) => `/${i}`))
  })

  test('behind one whose content nobody read: its bytes are never taken for a request', async () => {
    const hidden = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n'
    await using gateway = await openTest(text('unread'))
    const { statuses } = await ask(
      gateway.gateway.port,
      `POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}GET /2 HTTP/1.1\r\nHost: h\r\n\r\n`,
      { count: 2 },
    )
    expect(statuses).toEqual([200, 200])
    expect(gateway.records.map(({ target }) => target).slice(0, 2)).toEqual(['/1', '/2'])
  })
})

test('an answer that comes while the client still sends reaches it at once', async () => {
  await using upstream = await rawUpstream((socket, received) => {
    if (received.includes('\r\n\r\n'))
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig')
  })
  await using gateway = await proxyTo(upstream.origin)
  const upload = request({
    port: gateway.gateway.port,
    method: 'POST',
    headers: { 'Content-Length': 1_000_000 },
  })
  upload.on('error', () => undefined)
  upload.write('the first of many')
  const [response] = (await once(upload, 'response')) as [{ statusCode: number }]
  expect(response.statusCode).toBe(413)
  upload.destroy()
})
