import { once } from 'node:events'

import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { type Peer, startFlexi } from '../../oracle/peers.ts'
import { ask } from '../../oracle/raw-http.ts'

/** The files that `npm create hono -- --template cloudflare-workers` writes, with a page in JSX and a binding added as its guide says. */
const FILES = {
  'package.json': JSON.stringify({
    name: 'my-app',
    scripts: { dev: 'wrangler dev', deploy: 'wrangler deploy --minify' },
    dependencies: { hono: '*' },
  }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      target: 'ESNext',
      module: 'ESNext',
      moduleResolution: 'Bundler',
      strict: true,
      skipLibCheck: true,
      lib: ['ESNext'],
      jsx: 'react-jsx',
      jsxImportSource: 'hono/jsx',
    },
  }),
  'wrangler.jsonc': `{
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": "my-app",
  "main": "src/index.tsx",
  "compatibility_date": "2026-04-01",
  // "compatibility_flags": [
  //   "nodejs_compat"
  // ],
  "vars": { "MY_VAR": "my-variable" },
  "kv_namespaces": [{ "binding": "MY_KV_NAMESPACE", "id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" }],
  "assets": { "directory": "./public", "binding": "ASSETS" }
}`,
  'public/index.html': '<!doctype html><title>My page</title>',
  'src/index.tsx': `import { Hono } from 'hono'
import { cors } from 'hono/cors'
import { streamSSE } from 'hono/streaming'
import { upgradeWebSocket } from 'hono/cloudflare-workers'
import { Page } from './page'

const app = new Hono<{ Bindings: CloudflareBindings }>()

app.use('/message', cors())
app.get('/message', (c) => c.text('Hello Hono!'))
app.get('/page/:name', (c) => c.html(<Page name={c.req.param('name')} />))
app.put('/kv/:key', async (c) => {
  await c.env.MY_KV_NAMESPACE.put(c.req.param('key'), await c.req.text())
  return c.json({ variable: c.env.MY_VAR }, 201)
})
app.get('/kv/:key', async (c) => c.text((await c.env.MY_KV_NAMESPACE.get(c.req.param('key'))) ?? 'nothing'))
app.get('/events', (c) => streamSSE(c, (stream) => stream.writeSSE({ data: 'one', event: 'tick', id: '1' })))
app.get('/ws', upgradeWebSocket(() => ({ onMessage: (event, ws) => ws.send('hono: ' + event.data) })))
app.get('/wait', (c) => {
  c.executionCtx.waitUntil(Promise.resolve())
  return c.body(null, 204)
})
app.get('/throw', () => {
  throw new Error('seen by onError')
})
app.onError((error, c) => c.text('caught: ' + error.message, 500))
app.notFound((c) => c.text('no such page', 404))

export default app
`,
  'src/page.tsx': `import type { FC } from 'hono/jsx'

export const Page: FC<{ name: string }> = ({ name }) => (
  <html>
    <body class="page">
      <h1>Hello, {name}!</h1>
    </body>
  </html>
)
`,
}

let flexi: Peer

beforeAll(async () => {
  flexi = await startFlexi(FILES)
}, 40_000)
afterAll(async () => flexi?.[Symbol.asyncDispose]())

test('Hono’s template runs unchanged: text, CORS, JSX, what is thrown, what is not found', async () => {
  expect(await answer('/message', [['Origin', 'http://a.test']])).toMatchObject({
    status: 200,
    body: 'Hello Hono!',
    cors: '*',
  })
  expect((await answer('/page/you%20%26%20me')).body).toContain('<h1>Hello, you &amp; me!</h1>')
  expect(await answer('/throw')).toMatchObject({ status: 500, body: 'caught: seen by onError' })
  expect(await answer('/nowhere')).toMatchObject({ status: 404, body: 'no such page' })
  expect(await answer('/wait')).toMatchObject({ status: 204, body: '' })
})

test('its assets come first, and its bindings are there', async () => {
  expect((await answer('/')).body).toContain('<title>My page</title>')
  const put = await ask(flexi.origin, { method: 'PUT', path: '/kv/key', body: 'value' })
  expect([put.status, put.body.toString()]).toEqual([201, '{"variable":"my-variable"}'])
  expect((await answer('/kv/key')).body).toBe('value')
})

test('its streams and WebSockets work', async () => {
  expect((await answer('/events')).body).toBe('event: tick\ndata: one\nid: 1\n\n')
  const socket = new WebSocket(`${flexi.origin.replace('http', 'ws')}/ws`)
  await once(socket, 'open')
  socket.send('hi')
  const [message] = (await once(socket, 'message')) as [Buffer]
  expect(message.toString()).toBe('hono: hi')
  socket.terminate()
})

async function answer(path: string, fields: readonly (readonly [string, string])[] = []) {
  const { status, body, fields: got } = await ask(flexi.origin, { path, fields })
  return {
    status,
    body: body.toString(),
    cors: got.find(([name]) => /^access-control-allow-origin$/i.test(name))?.[1],
  }
}
