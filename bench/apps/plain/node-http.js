// The floor: nothing but Node.js. `node node-http.js PORT BODY`
import { createServer } from 'node:http'

const [, , port, body] = process.argv
const head = { 'content-type': body.startsWith('{') ? 'application/json' : 'text/plain' }

createServer((_incoming, outgoing) => outgoing.writeHead(200, head).end(body)).listen(Number(port), '127.0.0.1')
