// A runtime as people write one: Node's own client, one connection, one request after the other.
'use strict'
const { Agent, request } = require('node:http')
const { join } = require('node:path')

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':')
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const [file, name] = process.env._HANDLER.split('.')
const handler = require(join(process.env.LAMBDA_TASK_ROOT, `${file}.js`))[name]

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }
    const outgoing = request(
      { agent, host, port, method, path: `/2018-06-01/runtime/${path}`, headers },
      (incoming) => {
        const chunks = []
        incoming.on('data', (chunk) => chunks.push(chunk))
        incoming.on('end', () => resolve({ headers: incoming.headers, body: Buffer.concat(chunks) }))
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function main() {
  for (;;) {
    const { headers, body } = await call('GET', 'invocation/next')
    const id = headers['lambda-runtime-aws-request-id']
    const result = await handler(JSON.parse(body), { awsRequestId: id })
    await call('POST', `invocation/${id}/response`, JSON.stringify(result))
  }
}

main().catch(() => process.exit(1))
