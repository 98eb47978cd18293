// A static answer through the web server flexi itself stands on. `node hono.js PORT BODY`
import { serve } from '@hono/node-server'
import { Hono } from 'hono'

const [, , port, body] = process.argv
const head = { 'content-type': body.startsWith('{') ? 'application/json' : 'text/plain' }

const app = new Hono()
app.get('/', (context) => context.body(body, 200, head))
serve({ fetch: app.fetch, port: Number(port), hostname: '127.0.0.1' })
