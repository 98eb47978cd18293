import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import { native } from '../../../src/emulators/native/index.ts'
import { fakeConfinement, WITHOUT_BWRAP } from '../../fake-confinement.ts'
import { testScope } from '../../scope.ts'
import { conforms, serveFunction } from '../conformance.ts'
import { compileC, configOf, FIXTURES, NO_CC } from './compile.ts'

const WHY_NOT = NO_CC === undefined ? WITHOUT_BWRAP : ` (${NO_CC})`
const TIMEOUT_MS = 2000
const NO_EDITS = 'what is deployed does not change'

if (WHY_NOT === '') {
  const confinement = await fakeConfinement()
  afterAll(() => confinement[Symbol.asyncDispose]())
  conforms('a native library that is kept apart', {
    emulator: { ...native, open: (config, scope) => native.open(config, { ...scope, confinement }) },
    async install(directory) {
      await compileC(join(FIXTURES, 'conformance.c'), join(directory, 'libfixture.so'))
      return configOf(directory, {
        timeoutMs: TIMEOUT_MS,
        memoryMb: 100,
        options: { library: './libfixture.so' },
      })
    },
    edit: () => Promise.resolve(),
    noStreaming: 'handle_request returns the whole response at once',
    status: { thrown: 500, crashed: 502, timedOut: 504 },
    timeoutMs: TIMEOUT_MS,
    skip: {
      'ten replacements under load fail no request, and the last one serves': NO_EDITS,
      'a request in flight finishes on the code it started with': NO_EDITS,
    },
  })
} else test.skip(`a native library that is kept apart conforms${WHY_NOT}`, () => undefined)

test.skipIf(WHY_NOT !== '')(
  `what is deployed of a library is the file and the options that load it, and that runs${WHY_NOT}`,
  async () => {
    const out = (await mkdtemp(join(tmpdir(), 'flexi-native-'))) as AbsolutePath
    const from = (await mkdtemp(join(tmpdir(), 'flexi-native-'))) as AbsolutePath
    await copyFile(join(FIXTURES, 'conformance.c'), join(from, 'lib.c'))
    await compileC(join(from, 'lib.c'), join(from, 'libfixture.so'))
    const config = configOf(from, { options: { library: 'libfixture.so', threads: 2, watch: ['lib.c'] } })
    await using source = await native.open(config, testScope(from))
    await source.package(out, { complete: true })
    expect(await readdir(out)).toEqual(['libfixture.so'])
    expect(source.shipped?.()).toEqual({ library: './libfixture.so', threads: 2 })
    await using confinement = await fakeConfinement()
    await using served = await serveFunction(
      native,
      async (directory) => {
        await copyFile(join(out, 'libfixture.so'), join(directory, 'libfixture.so'))
        return configOf(directory, { options: source.shipped?.() ?? {} })
      },
      { confinement, mode: 'serve' },
    )
    expect((await served.ask('/version')).body.toString()).toMatch(/^v\d+$/)
    expect(await readdir(served.directory)).toEqual(['libfixture.so'])
    await Promise.all([out, from].map((path) => rm(path, { recursive: true })))
  },
)

test('What would be built or run by us is refused where a library is kept apart', async () => {
  await using confinement = await fakeConfinement('/')
  const directory = '/p' as AbsolutePath
  for (const options of [
    { library: '../x.so' },
    { library: '/lib/x.so' },
    { library: 'x.so', build: 'make' },
    { library: 'x.so', isolation: 'none' },
  ]) {
    const open = native.open(configOf(directory, { options }), testScope(directory, { confinement }))
    await expect(open).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
  }
})
