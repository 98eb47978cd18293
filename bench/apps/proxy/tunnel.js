// Answers a static text, and after a change of protocol sends zeros for as long as they are taken, or echoes. `node tunnel.js PORT`
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'

import { WebSocketServer } from 'ws'

const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const ZEROS = Buffer.alloc(256 * 1024)
const echoes = new WebSocketServer({ noServer: true })
echoes.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))

/** `/a` is answered `a`, everything else `hello world`. */
const server = createServer(({ url }, outgoing) => {
  const body = /^\/[ab]\//.test(url) ? url[1] : 'hello world\n'
  outgoing.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length }).end(body)
})
server.on('upgrade', (incoming, socket, head) => {
  socket.on('error', () => socket.destroy())
  if (incoming.url.endsWith('/echo'))
    return echoes.handleUpgrade(incoming, socket, head, (opened) => echoes.emit('connection', opened))
  const accept = createHash('sha1')
    .update(incoming.headers['sec-websocket-key'] + WEBSOCKET_GUID)
    .digest('base64')
  const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}`
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n\r\n`)
  const pour = () => {
    while (!socket.destroyed && socket.write(ZEROS));
  }
  socket.on('drain', pour)
  pour()
})
server.listen(Number(process.argv[2]), '127.0.0.1')
