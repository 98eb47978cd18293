// Sends GET after GET over one connection and times each. `node one-connection.js URL SECONDS`; prints JSON.
// It reads the socket itself: node:http's client takes longer than the servers it would time.
import { connect } from 'node:net'

import { isComplete, timesOf } from './answers.js'

const [, , url, seconds] = process.argv
const { hostname, port, pathname, host } = new URL(url)
const REQUEST = `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\n\r\n`
const WARM_UP_MS = 300

const samples = []
const startedAt = performance.now()
let socket = open()
let sentAt = 0
let received = ''

function open() {
  const opened = connect({ host: hostname, port: Number(port), noDelay: true })
  opened.setEncoding('latin1')
  opened.on('connect', send)
  opened.on('data', read)
  opened.on('end', () => {
    throw new Error('the server closed the connection unannounced')
  })
  return opened
}

/** Some servers close a connection after so many requests. Opening the next one is not part of a request's time. */
function reopen() {
  socket.removeAllListeners('end').destroy()
  socket = open()
}

function send() {
  received = ''
  sentAt = performance.now()
  socket.write(REQUEST)
}

function read(text) {
  received += text
  if (!isComplete(received)) return
  const now = performance.now()
  if (!received.startsWith('HTTP/1.1 200')) throw new Error(`answered ${received.split('\r\n')[0]}`)
  if (now - startedAt > WARM_UP_MS) samples.push(now - sentAt)
  if (now - startedAt > WARM_UP_MS + Number(seconds) * 1_000) report()
  else if (/^connection: *close/im.test(received)) reopen()
  else send()
}

function report() {
  socket.removeAllListeners('end').destroy()
  process.stdout.write(JSON.stringify(timesOf(samples)))
}
