import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, test } from 'vitest'

import type { FunctionConfig } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { process as provider } from '../../../src/emulators/process/index.ts'
import { fakeConfinement, WITHOUT_BWRAP } from '../../fake-confinement.ts'
import { conforms, replaceVersion, type Conformance } from '../conformance.ts'

const TIMEOUT_MS = 2000
const FIXTURE = join(import.meta.dirname, '../../fixtures/process/conformance.mjs')

const install =
  (options: object) =>
  async (directory: AbsolutePath): Promise<FunctionConfig> => {
    await copyFile(FIXTURE, join(directory, 'server.mjs'))
    return {
      name: 'fixture',
      provider: 'process',
      directory,
      origin: { file: join(directory, 'flexi.jsonc'), line: 1, column: 1 },
      environment: {},
      timeoutMs: TIMEOUT_MS,
      memoryMb: 200,
      options: { command: 'node', args: ['server.mjs'], ...options },
    }
  }

const program = (options: object): Conformance => ({
  emulator: provider,
  install: install(options),
  async edit(directory, version) {
    const file = join(directory, 'server.mjs')
    await writeFile(file, await replaceVersion(file, version))
  },
  dotsResolved: 'as in every request that is forwarded: who resolves them later must not end up elsewhere',
  status: { thrown: 500, crashed: 502, timedOut: 504 },
  timeoutMs: TIMEOUT_MS,
  skip: {
    'a throw costs its request, is reported, and the next one is answered':
      'a program answers for its own errors',
  },
})

conforms('process on a port', program({}))
conforms('process on a Unix socket', program({ listen: 'socket' }))

const KEPT_APART = 'what keeps a program apart limits its memory'

if (WITHOUT_BWRAP === '') {
  const confinement = await fakeConfinement()
  afterAll(() => confinement[Symbol.asyncDispose]())
  const apart = (options: object): Conformance => {
    const { skip, ...known } = program(options)
    const memory = 'memory without end is ended at the limit, and the next one is answered'
    return {
      ...known,
      // Versions of one folder: as in development, but kept apart.
      emulator: { ...provider, open: (config, scope) => provider.open(config, { ...scope, confinement }) },
      skip: { ...skip, [memory]: KEPT_APART },
    }
  }
  conforms('process that is kept apart, on a port', apart({}))
  conforms('process that is kept apart, on a Unix socket', apart({ listen: 'socket' }))
} else test.skip(`process that is kept apart conforms${WITHOUT_BWRAP}`, () => undefined)
