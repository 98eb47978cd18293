import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect } from 'vitest'

import { runsWith, tool } from './client-conformance.ts'

const SOURCE = `class Failure < StandardError; end

def handler(event:, context:)
  case event['case']
  when 'fail' then raise Failure, 'told'
  when 'crash' then exit!(3)
  when 'big' then 'x' * event['bytes']
  else event
  end
end
`

const folder = await mkdtemp(join(tmpdir(), 'flexi-ruby-'))
await writeFile(join(folder, 'app.rb'), SOURCE)
const missing = tool('ruby', ['--version'], folder) ?? tool('gem', ['contents', 'aws_lambda_ric'], folder)

runsWith(
  'aws_lambda_ric of Ruby',
  { folder, missing },
  {
    config: { handler: 'app.handler', options: { runtime: 'ruby3.3' } },
    failure: { errorMessage: 'told', errorType: expect.stringContaining('Failure') },
    crash: { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('exit status 3') },
  },
)

afterAll(() => rm(folder, { recursive: true, force: true }))
