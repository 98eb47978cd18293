import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { splice } from '../../src/forward/splice.ts'

describe('two joined connections', () => {
  const server = createServer({ allowHalfOpen: true })

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
  })
  afterAll(() => void server.close())

  /** A connection's two ends: the peer's, and ours. */
  async function pair(): Promise<[peer: Socket, ours: Socket]> {
    const { port } = server.address() as AddressInfo
    const peer = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const [ours] = (await once(server, 'connection')) as [Socket]
    return [peer, ours]
  }

  test('an end is passed on, and the other way stays open', async () => {
    const [client, left] = await pair()
    const [upstream, right] = await pair()
    const joined = splice(left, right)
    client.end('asked')
    upstream.resume()
    await once(upstream, 'end')
    upstream.end('answered')
    const [answer] = (await once(client, 'data')) as [Buffer]
    expect(String(answer)).toBe('answered')
    await joined
  })

  test('who may only linger is closed when the other has ended', async () => {
    const [client, left] = await pair()
    const [upstream, right] = await pair()
    client.end('bye')
    upstream.resume()
    await splice(left, right, { lingerMs: 20 })
    expect([left.destroyed, right.destroyed]).toEqual([true, true])
    upstream.destroy()
  })

  test('an end that came before they were joined is passed on as well', async () => {
    const [client, left] = await pair()
    const [upstream, right] = await pair()
    left.resume()
    client.end()
    await once(left, 'end')
    const joined = splice(left, right)
    upstream.resume()
    await once(upstream, 'end')
    upstream.end()
    client.resume()
    await joined
    expect([left.destroyed, right.destroyed]).toEqual([true, true])
  })
})
