// The least that node:http and undici can do together: no checks, no fields of a proxy, no errors told. `node undici.js PORT UPSTREAM-PORT`
import { createServer } from 'node:http'

import { Pool } from 'undici'

const [, , port, upstream] = process.argv
const pool = new Pool(`http://127.0.0.1:${upstream}`)

const server = createServer((incoming, outgoing) => {
  pool.dispatch(
    { path: incoming.url, method: incoming.method, headers: { host: incoming.headers.host } },
    {
      onConnect() {},
      onHeaders(status, raw) {
        outgoing.writeHead(status, withoutConnection(raw.map(String)))
        return true
      },
      onData: (chunk) => outgoing.write(chunk),
      onComplete: () => outgoing.end(),
      onError: () => outgoing.destroy(),
    },
  )
})
server.keepAliveTimeout = 75_000
server.listen(Number(port), '127.0.0.1')

function withoutConnection(fields) {
  const at = fields.findIndex((each, n) => n % 2 === 0 && each.toLowerCase() === 'connection')
  if (at !== -1) fields.splice(at, 2)
  return fields
}
