/** What `wrangler.jsonc` binds, and what `.dev.vars` adds. */
interface Env {
  NOTES: KVNamespace
  GREETING: string
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url)
    const name = /^\/notes\/([\w-]+)$/.exec(pathname)?.[1]
    if (name !== undefined) return note(request, env, name)
    if (pathname === '/notes') return Response.json((await env.NOTES.list()).keys.map((key) => key.name))
    if (pathname === '/') return new Response(`${env.GREETING} from a Worker!\n`)
    return new Response('Not found\n', { status: 404 })
  },
} satisfies ExportedHandler<Env>

async function note(request: Request, env: Env, name: string): Promise<Response> {
  switch (request.method) {
    case 'GET': {
      const text = await env.NOTES.get(name)
      return text === null ? new Response('No such note\n', { status: 404 }) : new Response(text)
    }
    case 'PUT':
      await env.NOTES.put(name, await request.text())
      return new Response(null, { status: 204 })
    case 'DELETE':
      await env.NOTES.delete(name)
      return new Response(null, { status: 204 })
    default:
      return new Response('Method not allowed\n', { status: 405, headers: { allow: 'GET, PUT, DELETE' } })
  }
}
