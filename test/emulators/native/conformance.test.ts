import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { test } from 'vitest'

import { native } from '../../../src/emulators/native/index.ts'
import { conforms, replaceVersion } from '../conformance.ts'
import { compileC, configOf, FIXTURES, NO_CC } from './compile.ts'

const TIMEOUT_MS = 1000

if (NO_CC !== undefined) test.skip(`native conforms (${NO_CC})`, () => undefined)
else {
  conforms('native', {
    emulator: native,
    async install(directory) {
      const source = join(directory, 'conformance.c')
      await copyFile(join(FIXTURES, 'conformance.c'), source)
      await compileC(source, join(directory, 'libfixture.so'))
      return configOf(directory, { timeoutMs: TIMEOUT_MS, memoryMb: 100 })
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
}
