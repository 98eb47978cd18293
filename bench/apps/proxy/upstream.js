// Where nginx is not installed. `node upstream.js PORT`
import { createServer } from 'node:http'

const body = 'hello world\n'
const head = { 'content-type': 'text/plain', 'content-length': body.length }
createServer((_incoming, outgoing) => outgoing.writeHead(200, head).end(body)).listen(
  Number(process.argv[2]),
  '127.0.0.1',
)
