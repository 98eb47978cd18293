// Opens many connections, asks once over each, and keeps them. `node idle.js URL CONNECTIONS`; prints JSON when all are
// open, and again when its standard input ends: how many were still open then.
import { connect } from 'node:net'

const [, , url, total] = process.argv
const { hostname, port, pathname, host } = new URL(url)
const REQUEST = `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\n\r\n`
const AT_ONCE = 200
/** Each address of this machine has ports of its own. */
const ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']

const open = new Set()
let next = 0
let failures = 0
await Promise.all(Array.from({ length: AT_ONCE }, openInTurn))
process.stdout.write(`${JSON.stringify({ open: open.size, failures })}\n`)
process.stdin.resume().once('end', () => {
  process.stdout.write(`${JSON.stringify({ open: open.size, failures })}\n`, () => process.exit(0))
})

async function openInTurn() {
  while (next < Number(total)) {
    const localAddress = ADDRESSES[next % ADDRESSES.length]
    next += 1
    await openOne(localAddress)
  }
}

/** Resolves with its answer, or when there is none. */
function openOne(localAddress) {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), localAddress, noDelay: true }, () => {
      open.add(socket)
      socket.write(REQUEST)
    })
    socket.on('data', (data) => {
      if (!data.toString('latin1').startsWith('HTTP/1.1 200')) failures += 1
      resolve()
    })
    socket.on('error', () => (failures += 1))
    socket.on('close', () => {
      open.delete(socket)
      resolve()
    })
  })
}
