interface Env {
  GREETING: string
  VISITS: { get(key: string): Promise<string | null>; put(key: string, value: string): Promise<void> }
}

/** Counts visits in a KV namespace: the number outlives reloads and restarts. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url)
    const visits = Number(await env.VISITS.get(pathname)) + 1
    await env.VISITS.put(pathname, String(visits))
    return Response.json({ message: `Hello ${env.GREETING}`, path: pathname, visits })
  },
}
