import { expect, test } from 'vitest'

import { serveApi } from './http-harness.ts'

test('an answer in the place of one that could not be sent has the reason of its own status', async () => {
  await using api = await serveApi({
    code: `export const odd = async () => ({ statusCode: 200, headers: { 'x-a': 'b\\r\\nset-cookie: c=1' }, body: '' })`,
    functions: ['odd'],
    routes: [{ route: 'GET /odd', function: 'odd', options: { frontEnd: 'http-api' } }],
  })

  const { status, statusText, headers } = await fetch(`http://127.0.0.1:${api.port}/odd`)

  expect({ status, statusText, cookie: headers.get('set-cookie') }).toEqual({
    status: 500,
    statusText: 'Internal Server Error',
    cookie: null,
  })
})
