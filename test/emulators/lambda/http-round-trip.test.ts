import type { Server } from 'node:http'

import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, test } from 'vitest'

import { expectSame, FRONT_ENDS, openRoundTrip, type RoundTrip } from './round-trip.ts'

/** The same app runs here and behind every endpoint: what it says of a request, and the response that the request asks for. */
const APP = `(app) => {
  app.all('*', async (c) => {
    const queries = c.req.queries()
    const cookies = Number(c.req.query('cookies') ?? 0)
    const seen = { method: c.req.method, path: c.req.path, queries: Object.entries(queries).sort(), own: c.req.header('x-own'), type: c.req.header('content-type'), cookie: c.req.header('cookie'), host: c.req.header('host') !== undefined }
    c.header('x-seen', encodeURIComponent(JSON.stringify(seen)))
    for (let index = 0; index < cookies; index += 1) c.header('set-cookie', 'c' + index + '=v; Path=/', { append: true })
    const status = Number(c.req.query('status') ?? 200)
    if (status === 204) return c.body(null, 204)
    return c.body(await c.req.arrayBuffer(), status, { 'content-type': c.req.header('content-type') ?? 'text/plain' })
  })
  return app
}`

function alone(): Server {
  // The same text as the function's, so that the two cannot differ.
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function(`return ${APP}`)() as (app: Hono) => Hono
  return serve({ fetch: make(new Hono()).fetch, port: 0, hostname: '127.0.0.1' }) as Server
}

function code(handle: 'handle' | 'streamHandle'): string {
  return `
    import { Hono } from '${import.meta.resolve('hono')}'
    import { ${handle} } from '${import.meta.resolve('hono/aws-lambda')}'
    export const app = ${handle}((${APP})(new Hono()))`
}

describe('an app of hono/aws-lambda answers as on a server of its own', () => {
  let roundTrip: RoundTrip
  beforeAll(async () => {
    roundTrip = await openRoundTrip({ code: code('handle'), direct: alone() })
  })
  afterAll(() => roundTrip?.[Symbol.asyncDispose]())

  // oxlint-disable-next-line vitest/expect-expect -- expectSame() expects
  test.each(Object.keys(FRONT_ENDS))('behind %s', (name) => expectSame(roundTrip, name), 20_000)
})

describe('a streaming app of hono/aws-lambda answers as on a server of its own', () => {
  const frontEnds = {
    url: { frontEnd: 'function-url' },
    rest: { frontEnd: 'rest-api', stage: 'Prod', streams: true, binaryMediaTypes: ['*/*'] },
  } as const
  let roundTrip: RoundTrip
  beforeAll(async () => {
    roundTrip = await openRoundTrip({ code: code('streamHandle'), direct: alone(), frontEnds })
  })
  afterAll(() => roundTrip?.[Symbol.asyncDispose]())

  // oxlint-disable-next-line vitest/expect-expect -- expectSame() expects
  test.each(Object.keys(frontEnds))('behind %s', (name) => expectSame(roundTrip, name), 20_000)
})
