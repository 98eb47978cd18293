// A server to try the proxy with: answers every request with what it got. Replace it with your own.
//   node upstream.js 3001 3002
const { createServer } = require('node:http')

const ports = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [3001, 3002]

for (const port of ports) {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(`${JSON.stringify({ port, method: request.method, url: request.url, headers: request.headers }, null, 2)}\n`)
  })
  server.listen(port, '127.0.0.1', () => console.log(`upstream on http://127.0.0.1:${port}`))
}
