import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { keptQueues } from '../../../src/emulators/workers/bindings/kept-queues.ts'
import type { Plugin, ServicesOptions } from '../../../src/emulators/workers/bindings/plugin.ts'

test('what is queued is kept in a folder of the queues’, whatever a queue is called', async () => {
  const root = await mkdtemp(join(tmpdir(), 'flexi-queues-'))
  const queues = ['orders', 'my.orders', '..', '.', '../../../out', '/etc/out', '..\\out']
  const plugin = {
    getServices: () =>
      Promise.resolve([
        { name: 'queues:queue' },
        ...queues.map((queue) => ({ name: `queues:queue:${queue}` })),
      ]),
  } as unknown as Plugin
  keptQueues(plugin)
  await plugin.getServices({
    defaultPersistRoot: join(root, 'a', 'b'),
    tmpPath: root,
  } as unknown as ServicesOptions)
  expect((await readdir(join(root, 'a', 'b', 'queues'))).sort()).toEqual(
    ['%2E', '%2E%2E', '%2Fetc%2Fout', '..%2F..%2F..%2Fout', '..%5Cout', 'my.orders', 'orders'].sort(),
  )
  expect(await readdir(root)).toEqual(['a'])
  expect(existsSync('/etc/out')).toBe(false)
  await rm(root, { recursive: true })
})
