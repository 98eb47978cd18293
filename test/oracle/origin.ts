import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'

import { type RawData, WebSocketServer } from 'ws'

export interface Origin extends AsyncDisposable {
  readonly url: string
}

/** A server that the worker asks: it tells what it saw. */
export async function openOrigin(): Promise<Origin> {
  const server = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming
    const answers: Readonly<Record<string, () => void>> = {
      '/gzip': () =>
        outgoing
          .writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'text/plain' })
          .end(gzipSync('packed')),
      '/redirect': () => outgoing.writeHead(302, { location: '/missing' }).end(),
      '/missing': () =>
        outgoing.writeHead(404, 'Gone away', { 'content-type': 'text/plain' }).end('not here'),
      '/cookies': () => outgoing.writeHead(200, { 'set-cookie': ['a=1', 'b=2'] }).end('cookies'),
    }
    const answer = answers[url ?? '']
    if (answer !== undefined) return answer()
    void readText(incoming).then((body) => {
      outgoing.setHeader('content-type', 'application/json')
      outgoing.end(JSON.stringify({ method, url, headers: { ...headers, host: 'ORIGIN' }, body }))
    })
  })
  new WebSocketServer({ server }).on('connection', (socket, { headers }) => {
    socket.on('message', (data: RawData) => {
      if ((data as Buffer).toString() === 'close') socket.close(4003, 'as asked')
      else socket.send(`asked for ${headers['sec-websocket-protocol']}`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
