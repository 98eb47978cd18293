// Sends GETs at a fixed rate over several connections and times each. `node paced.js URL RATE SECONDS CONNECTIONS`; prints JSON.
// A request that is due while all connections wait is sent late, and timed from when it was due: a server that stalls cannot hide it.
import { connect } from 'node:net'

import { isComplete, timesOf } from './answers.js'

const [, , url, rateText, secondsText, connectionsText] = process.argv
const { hostname, port, pathname, host } = new URL(url)
const REQUEST = `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\n\r\n`
const WARM_UP_MS = 1_000

const rate = Number(rateText) / 1_000
const endAt = WARM_UP_MS + Number(secondsText) * 1_000
const samples = []
const free = []
/** When each request that found no free connection was due. */
const late = []
let failures = 0
let sent = 0
let startedAt = 0

const sockets = await Promise.all(Array.from({ length: Number(connectionsText) }, open))
free.push(...sockets)
startedAt = performance.now()
const timer = setInterval(tick, 1)

function open() {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => resolve(socket))
    socket.setEncoding('latin1')
    socket.text = ''
    socket.dueAt = 0
    socket.on('data', (text) => read(socket, text))
    socket.on('error', () => (failures += 1))
  })
}

function tick() {
  const now = performance.now()
  if (now - startedAt > endAt) return report()
  const due = Math.floor((now - startedAt) * rate)
  for (; sent < due; sent += 1) {
    const socket = free.pop()
    if (socket === undefined) late.push(startedAt + sent / rate)
    else send(socket, now)
  }
}

function send(socket, dueAt) {
  socket.dueAt = dueAt
  socket.text = ''
  socket.write(REQUEST)
}

function read(socket, text) {
  socket.text += text
  if (!isComplete(socket.text)) return
  const now = performance.now()
  if (!socket.text.startsWith('HTTP/1.1 200')) failures += 1
  if (now - startedAt > WARM_UP_MS) samples.push(now - socket.dueAt)
  const dueAt = late.shift()
  if (dueAt === undefined) free.push(socket)
  else send(socket, dueAt)
}

function report() {
  clearInterval(timer)
  for (const socket of sockets)
    socket
      .removeAllListeners('error')
      .on('error', () => undefined)
      .destroy()
  const result = { ...timesOf(samples), failures, unanswered: late.length }
  process.stdout.write(JSON.stringify(result))
}
