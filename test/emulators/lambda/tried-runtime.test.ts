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
