// A function in a forked process, with what fork itself offers: objects, as JSON, over its channel.
import { fork } from 'node:child_process'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'

const [port, handlerFile] = process.argv.slice(2)
const script = fileURLToPath(import.meta.url)

if (process.send !== undefined && port === 'child') {
  const { handler } = await import(handlerFile)
  process.on('message', async ({ id, event }) => process.send({ id, result: await handler(event) }))
  process.send({ ready: true })
} else {
  const waiting = new Map()
  let last = 0
  const child = fork(script, ['child', handlerFile])
  child.on('message', ({ id, ready, result }) => {
    if (ready) server.listen(Number(port), '127.0.0.1')
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  const server = createServer((incoming, outgoing) => {
    last += 1
    waiting.set(last, ({ statusCode, headers, body }) => outgoing.writeHead(statusCode, headers).end(body))
    child.send({ id: last, event: { rawPath: incoming.url, headers: incoming.headers } })
  })
  process.once('SIGTERM', () => {
    child.kill('SIGKILL')
    process.exit()
  })
}
