import { createServer } from 'node:http'

export const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  if (pathname === '/healthz') return response.end('ok\n')
  const name = searchParams.get('name') ?? 'World'
  return response.end(`${process.env.GREETING ?? 'Hello'}, ${name}!\n`)
})

// PORT says where flexi expects it.
if (process.env.PORT !== undefined) server.listen(process.env.PORT)

// What is under way is finished before it ends.
process.once('SIGTERM', () => server.close())
