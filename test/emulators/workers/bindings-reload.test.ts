import { expect, test } from 'vitest'

import { serveWorker, write } from './serve.ts'

const CONFIG = `{
  "name": "writer", "main": "index.js", "compatibility_date": "2026-01-01",
  "kv_namespaces": [{ "binding": "KV", "id": "kv" }],
  "r2_buckets": [{ "binding": "BUCKET", "bucket_name": "bucket" }]
}`

const program = (version: number): string => `
export default {
  async fetch(request, env) {
    const key = new URL(request.url).pathname
    await Promise.all([env.KV.put(key, '${version}'), env.BUCKET.put(key, '${version}')])
    await caches.default.put('https://x.test' + key, new Response('x', { headers: { 'cache-control': 'max-age=60' } }))
    const [kept, object] = await Promise.all([env.KV.get(key), env.BUCKET.get(key)])
    return new Response(kept + (await object.text()))
  },
}
`

test('KV, R2 and the cache are written to all through reloads, and no request fails', async () => {
  await using served = await serveWorker({ files: { 'wrangler.jsonc': CONFIG, 'index.js': program(0) } })
  const failures: string[] = []
  let asked = 0
  let reloading = true
  const client = async (name: number): Promise<void> => {
    while (reloading) {
      asked += 1
      const { status, body } = await served.ask(`/${name}-${asked}`)
      if (status !== 200) failures.push(`${status} ${body.toString()}`)
    }
  }
  const clients = Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(client))
  for (const version of [1, 2, 3, 4, 5]) {
    await write(served.directory, { 'index.js': program(version) })
    await served.rebuild()
  }
  reloading = false
  await clients
  expect(failures).toEqual([])
  expect(asked).toBeGreaterThan(20)
  expect((await served.ask('/end')).body.toString()).toBe('55')
}, 60_000)
