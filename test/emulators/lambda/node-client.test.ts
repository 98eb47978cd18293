import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect } from 'vitest'

import { runsWith } from './client-conformance.ts'

const SOURCE = `exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  if (event.case === 'fail') throw new TypeError('told')
  if (event.case === 'crash') process.exit(3)
  if (event.case === 'big') stream.write(JSON.stringify('x'.repeat(event.bytes)))
  else if (event.case === 'stream') {
    for (const part of ['one', ' two', ' three']) {
      stream.write(part)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  } else if (event.case === 'break') {
    stream.write('one')
    throw new TypeError('told')
  } else stream.write(JSON.stringify(event))
  stream.end()
})
exports.plain = async (event) => {
  if (event.case === 'fail') throw new TypeError('told')
  if (event.case === 'crash') process.exit(3)
  return event.case === 'big' ? 'x'.repeat(event.bytes) : event
}
`

// It takes minutes and a C++ compiler to build, so it is used where somebody has built it.
const client =
  process.env['FLEXI_RIC'] ?? join(import.meta.dirname, '../../../bench/peers/node_modules/aws-lambda-ric')
const missing = existsSync(join(client, 'bin', 'index.mjs'))
  ? undefined
  : 'aws-lambda-ric 3.3.0 is not built; FLEXI_RIC names its folder'

const folder = await mkdtemp(join(tmpdir(), 'flexi-ric-'))
await writeFile(join(folder, 'app.js'), SOURCE)
await writeFile(
  join(folder, 'bootstrap'),
  `#!/bin/sh\nexec node ${join(client, 'bin', 'index.mjs')} "$_HANDLER"\n`,
)
const crash = { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('exit status 3') }
const options = { runtime: 'provided.al2023' }

runsWith(
  'aws-lambda-ric of Node',
  { folder, missing },
  {
    config: { handler: 'app.plain', options },
    failure: { errorMessage: 'told', errorType: 'TypeError' },
    crash,
  },
)

runsWith(
  'aws-lambda-ric of Node, streaming',
  { folder, missing },
  {
    config: { handler: 'app.handler', options },
    failure: { errorMessage: 'told', errorType: 'TypeError' },
    crash,
    streams: true,
    bigIsStreamed: true,
  },
)

afterAll(() => rm(folder, { recursive: true, force: true }))
