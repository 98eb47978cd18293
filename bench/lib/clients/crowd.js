// A crowd that never stops asking: every connection sends its next request with the end of the last answer, WebSockets echo all the while.
// `node crowd.js URL CONNECTIONS WEBSOCKETS BODY…`; a body that is none of those is a failure. Ends when its standard input does; prints JSON.
import { connect } from 'node:net'

import { WebSocket } from 'ws'

const [, , url, connections, websockets, ...bodies] = process.argv
const { hostname, port, pathname, host } = new URL(url)
const REQUEST = `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\n\r\n`
const ANSWER = /^HTTP\/1\.1 (\d+)[^]*?\r\n\r\n([^]*)$/
const KEPT_FAILURES = 5

const result = { requests: 0, failures: 0, failureTexts: [], echoes: 0, brokenWebSockets: 0 }
let stopping = false
for (let n = 0; n < Number(connections); n += 1) ask()
for (let n = 0; n < Number(websockets); n += 1) chat()
process.stdin.resume().once('end', () => {
  stopping = true
  process.stdout.write(JSON.stringify(result), () => process.exit(0))
})

function ask() {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true }).setEncoding('latin1')
  let text = ''
  const send = () => {
    text = ''
    socket.write(REQUEST)
  }
  socket.on('connect', send)
  socket.on('data', (chunk) => {
    text += chunk
    const answer = ANSWER.exec(text)
    const length = /^content-length: *(\d+)/im.exec(text)?.[1]
    if (answer === null || answer[2].length < Number(length ?? Infinity)) return
    result.requests += 1
    if (answer[1] !== '200' || !bodies.includes(answer[2])) fail(`${answer[1]} ${answer[2].slice(0, 100)}`)
    if (!stopping) send()
  })
  socket.on('error', (error) => fail(error.code))
  socket.on('close', () => {
    if (stopping) return
    fail('the connection was closed')
    ask()
  })
}

function fail(text) {
  if (stopping) return
  result.failures += 1
  if (result.failureTexts.length < KEPT_FAILURES) result.failureTexts.push(text)
}

function chat() {
  const socket = new WebSocket(new URL('/chat/echo', url.replace('http', 'ws')))
  let said = 0
  const say = () => socket.send(String((said += 1)))
  socket.on('open', say)
  socket.on('message', (data) => {
    if (Buffer.concat([data].flat()).toString() !== String(said)) result.brokenWebSockets += 1
    result.echoes += 1
    setTimeout(say, 1)
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    if (!stopping) result.brokenWebSockets += 1
  })
}
