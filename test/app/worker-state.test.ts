import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { openWorkerState } from '../../src/app/worker-state.ts'
import type { AbsolutePath } from '../../src/core/place.ts'

test('a server that was suspended is named, because its data is open and nobody waits for ever', async () => {
  const directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const note = { pid: process.pid, control: `http://127.0.0.1:${port}/_flexi` }
  await mkdir(join(directory, '.flexi/run'), { recursive: true })
  await writeFile(join(directory, '.flexi/run/1.json'), JSON.stringify(note))
  await expect(openWorkerState({ directory, environment: {}, answerMs: 50 })).rejects.toMatchObject({
    code: 'FLEXI_UPSTREAM_TIMEOUT',
    message: `flexi runs here as process ${process.pid}, and does not answer`,
  })
  silent.close()
  await rm(directory, { recursive: true, force: true })
})
