// Opens WebSockets and counts the bytes that come. `node sink.js URL CONNECTIONS SECONDS`; prints JSON.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

const [, , url, connections, seconds] = process.argv
const { hostname, port, pathname, host } = new URL(url)
const WARM_UP_MS = 500
const BUFFER_BYTES = 256 * 1024

let bytes = 0
await Promise.all(Array.from({ length: Number(connections) }, open))
await wait(WARM_UP_MS)
const [bytesBefore, startedAt] = [bytes, performance.now()]
await wait(Number(seconds) * 1_000)
const elapsed = (performance.now() - startedAt) / 1_000
process.stdout.write(JSON.stringify({ bytes: bytes - bytesBefore, seconds: elapsed }), () => process.exit(0))

/** Resolves with the first bytes after the head. */
function open() {
  return new Promise((resolve, reject) => {
    let head = ''
    const onread = {
      buffer: Buffer.alloc(BUFFER_BYTES),
      callback: (count, buffer) => {
        bytes += count
        if (head === undefined) return true
        head += buffer.latin1Slice(0, count)
        if (!head.startsWith('HTTP/1.1 101'.slice(0, head.length)))
          reject(new Error(`answered ${head.split('\r\n')[0]}`))
        const end = head.indexOf('\r\n\r\n')
        if (end === -1 || head.length === end + 4) return true
        head = undefined
        resolve()
        return true
      },
    }
    const socket = connect({ host: hostname, port: Number(port), onread }, () => {
      const key = randomBytes(16).toString('base64')
      const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}`
      socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n\r\n`)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the connection was closed')))
  })
}

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
