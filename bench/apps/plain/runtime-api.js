// A Runtime API as people write one: Node's own server before one runtime, and another that makes an event of each request.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

const [port, folder, command] = process.argv.slice(2)
const waiting = []
const running = new Map()
let poll

const api = createServer({ keepAlive: true, requestTimeout: 0 }, (incoming, outgoing) => {
  if (incoming.url === '/2018-06-01/runtime/invocation/next') {
    poll = outgoing
    handOut()
    return
  }
  const [, id, what] = /\/invocation\/([^/]+)\/(response|error)$/.exec(incoming.url) ?? []
  const chunks = []
  incoming.on('data', (chunk) => chunks.push(chunk))
  incoming.on('end', () => {
    outgoing.writeHead(202, { 'Content-Type': 'application/json' }).end('{"status":"OK"}\n')
    running.get(id)?.(what, Buffer.concat(chunks))
    running.delete(id)
  })
})
api.keepAliveTimeout = 0

function handOut() {
  const next = poll === undefined ? undefined : waiting.shift()
  if (next === undefined) return
  const id = randomUUID()
  running.set(id, next.done)
  poll.writeHead(200, {
    'Content-Type': 'application/json',
    'Lambda-Runtime-Aws-Request-Id': id,
    'Lambda-Runtime-Deadline-Ms': String(Date.now() + 3_000),
    'Lambda-Runtime-Invoked-Function-Arn': 'arn:aws:lambda:us-east-1:123456789012:function:hello',
    'Lambda-Runtime-Trace-Id': `Root=1-0-${id}`,
  })
  poll.end(next.event)
  poll = undefined
}

function eventOf({ method, url, headers }) {
  const [path, query = ''] = url.split('?')
  const http = { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: headers['user-agent'] }
  const requestContext = { accountId: 'anonymous', http, requestId: randomUUID(), timeEpoch: Date.now() }
  return JSON.stringify({ version: '2.0', rawPath: path, rawQueryString: query, headers, requestContext })
}

const front = createServer((incoming, outgoing) => {
  waiting.push({
    event: eventOf(incoming),
    done(what, payload) {
      const { statusCode = 200, body = payload } = JSON.parse(payload)
      outgoing.writeHead(what === 'error' ? 502 : statusCode, { 'Content-Type': 'application/json' }).end(body)
    },
  })
  handOut()
})

api.listen(0, '127.0.0.1')
await once(api, 'listening')
const child = spawn(command, [], {
  cwd: folder,
  stdio: 'inherit',
  env: {
    ...process.env,
    AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${api.address().port}`,
    AWS_LAMBDA_FUNCTION_NAME: 'hello',
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
    AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/hello',
    AWS_LAMBDA_LOG_STREAM_NAME: 'bench',
    LAMBDA_TASK_ROOT: folder,
    _HANDLER: 'handler.handler',
  },
})
process.once('SIGTERM', () => {
  child.kill('SIGKILL')
  process.exit()
})
front.listen(Number(port), '127.0.0.1')
