import { describe, expect, test } from 'vitest'

import { openFunction } from './harness.ts'

const COLLECTING = `import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

interface Event {
  readonly key: string
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

export const handler = async (event: Event) => {
  await new Promise((done) => setImmediate(done))
  collect()
  throw new Error('late')
}
`

describe('stacks of a bundle', () => {
  test('name lines of the sources after garbage was collected too, because maps live as long as their modules', async () => {
    await using opened = await openFunction({ 'app.ts': COLLECTING }, { handler: 'app.handler' })

    const { value } = await opened.invoke()

    expect(value).toMatchObject({ trace: ['Error: late', expect.stringMatching(/app\.ts:14:/)] })
  })
})

test('a function is where its file deploys it to, unless its own variables say otherwise', async () => {
  const files = {
    'app.mjs':
      'export const handler = async (event, { invokedFunctionArn }) => [process.env.AWS_REGION, invokedFunctionArn]',
  }
  const options = { region: 'eu-west-3' }
  await using deployed = await openFunction(files, { handler: 'app.handler', options })
  await using own = await openFunction(files, {
    handler: 'app.handler',
    options,
    environment: { AWS_REGION: 'eu-north-1' },
  })

  expect((await deployed.invoke()).value).toEqual([
    'eu-west-3',
    'arn:aws:lambda:eu-west-3:123456789012:function:tested',
  ])
  expect((await own.invoke()).value).toEqual([
    'eu-north-1',
    'arn:aws:lambda:eu-north-1:123456789012:function:tested',
  ])
})
