// Sends GET after GET over each of several connections and times every request. `node many-connections.js URL SECONDS CONNECTIONS`; prints JSON.
// A closed loop: nobody's next request waits behind another one's answer, and nothing is corrected.
import { connect } from 'node:net'

import { isComplete, timesOf } from './answers.js'

const [, , url, seconds, connections] = process.argv
const { hostname, port, pathname, host } = new URL(url)
const REQUEST = `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\n\r\n`
const WARM_UP_MS = 300

const samples = []
let failures = 0
const startedAt = performance.now()
const endAt = startedAt + WARM_UP_MS + Number(seconds) * 1_000
const sockets = new Set()
for (let n = 0; n < Number(connections); n += 1) open()
setTimeout(report, endAt - startedAt)

function open() {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true }).setEncoding('latin1')
  sockets.add(socket)
  let text = ''
  let sentAt = 0
  const send = () => {
    text = ''
    sentAt = performance.now()
    socket.write(REQUEST)
  }
  socket.on('connect', send)
  socket.on('data', (chunk) => {
    text += chunk
    if (!isComplete(text)) return
    const now = performance.now()
    if (!text.startsWith('HTTP/1.1 200')) failures += 1
    if (now - startedAt > WARM_UP_MS) samples.push(now - sentAt)
    send()
  })
  socket.on('error', () => (failures += 1))
  socket.on('close', () => sockets.delete(socket) && open())
}

function report() {
  const times = timesOf(samples)
  const result = { ...times, requestsPerSecond: times.requests / Number(seconds), failures }
  process.stdout.write(JSON.stringify(result), () => process.exit(0))
}
