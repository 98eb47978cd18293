import { afterAll, beforeAll, expect, test } from 'vitest'

import { type Peer, startFlexi } from '../../oracle/peers.ts'
import { ask } from '../../oracle/raw-http.ts'

/** An app as itty-router's guide has it for Workers: AutoRouter as the default export, middleware, typed errors, preflights. */
const FILES = {
  'wrangler.toml': `name = "itty"
main = "src/index.js"
compatibility_date = "2026-04-01"

[vars]
GREETING = "hello"
`,
  'src/index.js': `import { AutoRouter, cors, error, IttyRouter, json, withContent } from 'itty-router'

const { preflight } = cors({ origin: 'http://app.test', allowMethods: '*' })
const withUser = (request) => {
  if (request.headers.get('authorization') === null) return error(401, 'who are you?')
  request.user = 'me'
}

const nested = IttyRouter({ base: '/nested' })
nested.get('/:a/:b?', ({ params, query }) => json({ params, query }))

const router = AutoRouter({ before: [preflight] })
router
  .get('/hello/:name', ({ name }, env) => env.GREETING + ', ' + name)
  .get('/json', () => ({ list: [1, 2] }))
  .post('/todos', withContent, ({ content }) => ({ created: content }))
  .get('/me', withUser, ({ user }) => user)
  .get('/throw', () => {
    throw Object.assign(new Error('short and stout'), { status: 418 })
  })
  .get('/waits', (request, env, ctx) => ctx.waitUntil(Promise.resolve()) ?? 'later')
  .all('/nested/*', nested.fetch)

export default router
`,
}

let flexi: Peer

beforeAll(async () => {
  flexi = await startFlexi(FILES)
}, 40_000)
afterAll(async () => flexi?.[Symbol.asyncDispose]())

test.each([
  ['GET', '/hello/you', 200, '"hello, you"'],
  ['GET', '/json', 200, '{"list":[1,2]}'],
  ['POST', '/todos', 200, '{"created":{"do":"it"}}'],
  ['GET', '/me', 401, '{"status":401,"error":"who are you?"}'],
  ['GET', '/throw', 418, '{"status":418,"error":"short and stout"}'],
  ['GET', '/waits', 200, '"later"'],
  ['GET', '/nested/x?q=1&q=2', 200, '{"params":{"a":"x"},"query":{"q":["1","2"]}}'],
  ['GET', '/nowhere', 404, '{"status":404,"error":"Not Found"}'],
])('an itty-router app runs unchanged: %s %s', async (method, path, status, text) => {
  const body = method === 'POST' ? '{"do":"it"}' : undefined
  const answer = await ask(flexi.origin, {
    method,
    path,
    body,
    fields: [['Content-Type', 'application/json']],
  })
  expect([answer.status, answer.body.toString()]).toEqual([status, text])
})

test('its CORS helper answers preflights', async () => {
  const fields = [
    ['Origin', 'http://app.test'],
    ['Access-Control-Request-Method', 'PUT'],
  ] as const
  const answer = await ask(flexi.origin, { method: 'OPTIONS', path: '/json', fields })
  expect(answer.status).toBe(204)
  expect(answer.fields.map(([name, value]) => [name.toLowerCase(), value])).toContainEqual([
    'access-control-allow-origin',
    'http://app.test',
  ])
})
