import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { test } from 'vitest'

import { native } from '../../../src/emulators/native/index.ts'
import { conforms, replaceVersion, type Conformance } from '../conformance.ts'
import { compileC, configOf, FIXTURES, NO_CC } from './compile.ts'

const TIMEOUT_MS = 1000

const provider = (isolation: 'process' | 'none'): Conformance => ({
  emulator: native,
  async install(directory) {
    const source = join(directory, 'conformance.c')
    await copyFile(join(FIXTURES, 'conformance.c'), source)
    await compileC(source, join(directory, 'libfixture.so'))
    const options = { library: 'libfixture.so', isolation }
    return configOf(directory, { timeoutMs: TIMEOUT_MS, memoryMb: 100, options })
  },
  async edit(directory, version) {
    const source = join(directory, 'conformance.c')
    await writeFile(source, await replaceVersion(source, version))
    await compileC(source, join(directory, 'libfixture.so'))
  },
  noStreaming: 'handle_request returns the whole response at once',
  status: { thrown: 500, crashed: 502, timedOut: 504 },
  timeoutMs: TIMEOUT_MS,
})

const ONE_THREAD = 'the library runs on the server’s one thread'
const ONE_PROCESS = 'the library runs in the server’s process'

if (NO_CC !== undefined) test.skip(`native conforms (${NO_CC})`, () => undefined)
else {
  conforms('native', provider('process'))
  conforms('native in the server’s own process', {
    ...provider('none'),
    skip: {
      'slow requests do not wait for each other': ONE_THREAD,
      'a request in flight finishes on the code it started with': ONE_THREAD,
      'a crash costs its request, is reported, and the next one is answered': ONE_PROCESS,
      'an endless loop is ended at the timeout, is reported, and the next one is answered': ONE_THREAD,
      'memory without end is ended at the limit, and the next one is answered': ONE_PROCESS,
    },
  })
}
