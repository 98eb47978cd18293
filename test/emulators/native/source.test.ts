import { existsSync } from 'node:fs'
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { beforeAll, afterAll, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../../src/core/place.ts'
import { native } from '../../../src/emulators/native/index.ts'
import { compileC, failureOf, FIXTURES, has, NO_CC, openSource, temporaryFolder } from './compile.ts'

const suite = NO_CC === undefined ? describe : describe.skip
const ABI = join(FIXTURES, 'abi.c')

/** The same library in two versions, compiled once. */
let versions: Awaited<ReturnType<typeof temporaryFolder>>
const version = (number: 1 | 2): string => join(versions.path, `v${number}.so`)

beforeAll(async () => {
  versions = await temporaryFolder()
  if (NO_CC !== undefined) return
  for (const number of [1, 2] as const) await compileC(ABI, version(number), [`-DVERSION=${number}`])
})
afterAll(async () => versions?.[Symbol.asyncDispose]())

describe('a target is a library by its shape', () => {
  test.each(['a.so', './lib/liba.so', 'liba.so.1', '/x/liba.so.1.2', 'a.dylib', 'a.dll'])(
    '%s is',
    async (target) => {
      expect(await native.recognise(target, '/' as AbsolutePath)).toEqual({ library: target })
    },
  )
  test.each(['so', '.so', 'a.so/', 'http://host/a.so', 'a.c', 'so.ts', 'lib.sock'])(
    '%s is not',
    async (target) => {
      expect(await native.recognise(target, '/' as AbsolutePath)).toBeUndefined()
    },
  )
  test('no file of a folder is a native function by itself', async () => {
    expect(await native.detect('/' as AbsolutePath, { environment: {} })).toEqual({
      functions: [],
      routes: [],
      files: [],
      faults: [],
    })
  })
})

describe('options', () => {
  test('all faults come at once, each with what to write', async () => {
    await using folder = await temporaryFolder()
    const options = {
      libary: 'x.so',
      build: '',
      watch: 'src',
      threads: 0,
      zig: '1',
      isolation: 'thread',
      preallocationKb: 1.5,
    }
    const error = await failureOf(openSource(folder.path, options))
    expect(error.code).toBe('FLEXI_CONFIG')
    expect(error.faults.map(({ message, hint }) => `${message} ${hint}`)).toEqual([
      'fixture: a native library has no option "libary" Did you mean "library"?',
      'fixture: no library Add "library": "build/libhello.so".',
      'fixture: "build" is no command Write a shell command, such as "make".',
      'fixture: "watch" is no list of paths Write a list, such as ["src/**/*.c"].',
      'fixture: "isolation" cannot be "thread" Write "process" to run it in a child, "none" to run it in flexi itself.',
      'fixture: "threads" cannot be 0 Write a whole number from 1 to 256.',
      'fixture: "zig" cannot be "1" Write the version that compiled it: "0.13" for Zig up to 0.13, "0.14" for later ones.',
      'fixture: "preallocationKb" cannot be 1.5 Write a whole number from 0 to 1048576.',
    ])
  })
})

suite(`a library that cannot be loaded${NO_CC === undefined ? '' : ` (${NO_CC})`}`, () => {
  test('is missing: the message names it, and it works once it is there', async () => {
    await using folder = await temporaryFolder()
    await using opened = await openSource(folder.path)
    const error = await failureOf(opened.source.build())
    expect(error.code).toBe('FLEXI_BUILD')
    expect(error.message).toContain(join(folder.path, 'libfixture.so'))
    expect(error.hint).toContain('"build"')
    expect(opened.source.watched()).toContain(join(folder.path, 'libfixture.so'))
    await copyFile(version(1), join(folder.path, 'libfixture.so'))
    await using instance = await (await opened.source.build()).start()
    expect(instance.closed).toBeInstanceOf(Promise)
  })

  test('lacks handle_request: the message names what it exports instead', async () => {
    await using folder = await temporaryFolder()
    await writeFile(
      join(folder.path, 'other.c'),
      'int handle(void) { return 1; }\nint helper(void) { return 2; }\n',
    )
    await compileC(join(folder.path, 'other.c'), join(folder.path, 'libfixture.so'))
    await using opened = await openSource(folder.path)
    const error = await failureOf(opened.source.build())
    expect(error.message).toMatch(
      /does not export handle_request; it exports (handle, helper|helper, handle)$/,
    )
  })

  test.skipIf(!has('c++', '--version'))('has a mangled name: the hint says extern "C"', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'a.cpp'), 'void *handle_request(void *p) { return p; }\n')
    await compileC(join(folder.path, 'a.cpp'), join(folder.path, 'libfixture.so'), ['-xc++', '-std=c++17'])
    await using opened = await openSource(folder.path)
    expect((await failureOf(opened.source.build())).hint).toContain('extern "C"')
  })

  test('is for another machine: the message names both', async () => {
    await using folder = await temporaryFolder()
    const bytes = await readFile(version(1))
    bytes.writeUInt16LE(process.arch === 'arm64' ? 62 : 183, 18)
    await writeFile(join(folder.path, 'libfixture.so'), bytes)
    await using opened = await openSource(folder.path)
    const { message } = await failureOf(opened.source.build())
    expect(message).toContain('x86-64')
    expect(message).toContain('AArch64')
  })

  test.each([
    ['a script', '#!/bin/sh\n', 'it is a script'],
    ['for Windows', 'MZ\x90\0', 'it is a Windows library'],
    ['nothing of the kind', 'hello', 'a file that starts with "hell"'],
  ])('is %s', async (_what, content, message) => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'libfixture.so'), content, 'latin1')
    await using opened = await openSource(folder.path)
    expect((await failureOf(opened.source.build())).message).toContain(message)
  })

  test('is truncated: it is waited for, then named, and the next good file is taken', async () => {
    await using folder = await temporaryFolder()
    const library = join(folder.path, 'libfixture.so')
    await copyFile(version(1), library)
    await truncate(library, 5000)
    await using opened = await openSource(folder.path)
    expect((await failureOf(opened.source.build())).message).toMatch(/is truncated: \d+ bytes missing$/)
    await copyFile(version(1), library)
    expect((await opened.source.build()).revision).toMatch(/^[0-9a-f]{16}$/)
  })

  test('needs a symbol that nobody has: the start fails, and names it', async () => {
    await using folder = await temporaryFolder()
    await writeFile(
      join(folder.path, 'a.c'),
      'void *nowhere_defined(void *);\nvoid *handle_request(void *p) { return nowhere_defined(p); }\n',
    )
    await compileC(join(folder.path, 'a.c'), join(folder.path, 'libfixture.so'))
    await using opened = await openSource(folder.path)
    const code = await opened.source.build()
    const error = await failureOf(code.start())
    expect(error.code).toBe('FLEXI_FUNCTION_INIT')
    expect(error.message).toBe('libfixture.so cannot be loaded: undefined symbol: nowhere_defined')
    expect(error.hint).toContain('nowhere_defined')
  })

  test('crashes while it is loaded: the start fails, and says how', async () => {
    await using folder = await temporaryFolder()
    await writeFile(
      join(folder.path, 'a.c'),
      '#include <stdlib.h>\n__attribute__((constructor)) static void boom(void) { abort(); }\nvoid *handle_request(void *p) { return p; }\n',
    )
    await compileC(join(folder.path, 'a.c'), join(folder.path, 'libfixture.so'))
    await using opened = await openSource(folder.path)
    const error = await failureOf((await opened.source.build()).start())
    expect(error.message).toContain('its process ended while loading it (SIGABRT)')
  })
})

suite('a library that changes', () => {
  test('has an equal revision as long as its content is equal, however it was written', async () => {
    await using folder = await temporaryFolder()
    const library = join(folder.path, 'libfixture.so')
    await copyFile(version(1), library)
    await using opened = await openSource(folder.path)
    const first = await opened.source.build()
    expect(await opened.source.build()).toBe(first)
    await copyFile(version(1), library)
    expect(await opened.source.build()).toBe(first)
    await utimes(library, 1, 1)
    expect(await opened.source.build()).toBe(first)
    await copyFile(version(2), library)
    expect((await opened.source.build()).revision).not.toBe(first.revision)
  })

  test('and is written slowly is taken when it is whole', async () => {
    await using folder = await temporaryFolder()
    const library = join(folder.path, 'libfixture.so')
    await copyFile(version(1), library)
    await using opened = await openSource(folder.path)
    const first = await opened.source.build()
    const bytes = await readFile(version(2))
    await writeFile(library, '')
    const building = opened.source.build()
    for (let at = 0; at < bytes.length; at += 4000) {
      await writeFile(library, bytes.subarray(at, at + 4000), { flag: 'a' })
      await wait(30)
    }
    expect((await building).revision).not.toBe(first.revision)
    await using other = await temporaryFolder()
    await copyFile(version(2), join(other.path, 'libfixture.so'))
    await using reference = await openSource(other.path)
    expect((await building).revision).toBe((await reference.source.build()).revision)
  })

  test('and is removed for a moment is waited for', async () => {
    await using folder = await temporaryFolder()
    const library = join(folder.path, 'libfixture.so')
    await copyFile(version(1), library)
    await using opened = await openSource(folder.path)
    const first = await opened.source.build()
    await rm(library)
    const building = opened.source.build()
    await wait(100)
    await copyFile(version(2), join(folder.path, 'new'))
    await rename(join(folder.path, 'new'), library)
    expect((await building).revision).not.toBe(first.revision)
  })

  test('leaves no copy behind, not even that of a flexi that was killed', async () => {
    await using folder = await temporaryFolder()
    await copyFile(version(1), join(folder.path, 'libfixture.so'))
    await mkdir(join(folder.path, '.flexi/native/fixture-999999999-1'), { recursive: true })
    {
      await using opened = await openSource(folder.path)
      await opened.source.build()
      expect(await readdir(join(folder.path, '.flexi/native'))).toHaveLength(1)
    }
    expect(existsSync(join(folder.path, '.flexi'))).toBe(false)
  })

  test('is packaged under its own name', async () => {
    await using folder = await temporaryFolder()
    await copyFile(version(1), join(folder.path, 'libfixture.so'))
    await using opened = await openSource(folder.path)
    const target = join(folder.path, 'package') as AbsolutePath
    const { size } = await stat(version(1))
    expect(await opened.source.package(target)).toEqual([
      { path: 'libfixture.so', bytes: size, inputs: ['libfixture.so'] },
    ])
    expect((await readFile(join(target, 'libfixture.so'))).equals(await readFile(version(1)))).toBe(true)
  })
})

suite('a build command', () => {
  const SOURCE = `#include "flexi.h"
FlexiResponse *handle_request(FlexiRequest *request) {
    (void)request;
    static _Thread_local FlexiResponse response;
    return &response;
}
`
  const COMMAND = 'echo run >> runs && cc -Wall -fPIC -shared -I. -o libfixture.so hello.c'
  const options = { library: 'libfixture.so', build: COMMAND }

  async function project(): Promise<Awaited<ReturnType<typeof temporaryFolder>>> {
    const folder = await temporaryFolder()
    await copyFile(join(FIXTURES, '../../../include/flexi.h'), join(folder.path, 'flexi.h'))
    await writeFile(join(folder.path, 'hello.c'), SOURCE)
    return folder
  }
  const runs = async (directory: string): Promise<number> =>
    (await readFile(join(directory, 'runs'), 'utf8')).split('\n').length - 1

  test('makes the library, and runs again only when a source has changed', async () => {
    await using folder = await project()
    await using opened = await openSource(folder.path, options)
    const first = await opened.source.build()
    expect(await opened.source.build()).toBe(first)
    expect(await runs(folder.path)).toBe(1)
    await writeFile(
      join(folder.path, 'hello.c'),
      SOURCE.replace('return &', 'response.status = 204;\n    return &'),
    )
    expect((await opened.source.build()).revision).not.toBe(first.revision)
    expect(await runs(folder.path)).toBe(2)
    expect(opened.source.watched()).toEqual(
      expect.arrayContaining(['hello.c', 'flexi.h', 'libfixture.so'].map((file) => join(folder.path, file))),
    )
  })

  test('that fails is told with file, line, column and source line, once a change', async () => {
    await using folder = await project()
    await using opened = await openSource(folder.path, options)
    const first = await opened.source.build()
    await writeFile(join(folder.path, 'hello.c'), SOURCE.replace('(void)request', 'return nothing'))
    const error = await failureOf(opened.source.build())
    expect(error.code).toBe('FLEXI_BUILD')
    expect(error.faults[0]).toMatchObject({
      place: { file: join(folder.path, 'hello.c'), line: 3, column: 12 },
      text: '    return nothing;',
    })
    expect(error.faults[0]?.message).toContain('nothing')
    expect(await failureOf(opened.source.build())).toBe(error)
    expect(await runs(folder.path)).toBe(2)
    await writeFile(join(folder.path, 'hello.c'), SOURCE)
    expect((await opened.source.build()).revision).toBe(first.revision)
  })

  test('whose linker fails is told too', async () => {
    await using folder = await project()
    await writeFile(
      join(folder.path, 'hello.c'),
      SOURCE.replace('(void)request', 'extern int nowhere(void); nowhere()'),
    )
    await using opened = await openSource(folder.path, { ...options, build: `${COMMAND} -Wl,--no-undefined` })
    const error = await failureOf(opened.source.build())
    expect(error.faults.map(({ message }) => message)).toEqual(['undefined reference to nowhere'])
  })

  test('that warns hands its warnings on, and succeeds', async () => {
    await using folder = await project()
    await writeFile(join(folder.path, 'hello.c'), SOURCE.replace('(void)request', 'int unused'))
    await using opened = await openSource(folder.path, options)
    await opened.source.build()
    expect(opened.lines.map(({ text }) => text).join('\n')).toContain('unused variable')
  })

  test('whose compiler is not installed says what to install, and is tried again', async () => {
    await using folder = await project()
    const missing = 'no-such-compiler-here hello.c'
    await using opened = await openSource(folder.path, { ...options, build: missing })
    for (let turn = 0; turn < 2; turn += 1) {
      const error = await failureOf(opened.source.build())
      expect(error.code).toBe('FLEXI_TOOL_MISSING')
      expect(error.message).toContain('no-such-compiler-here')
    }
  })

  test('that fails without a word the parser knows shows its last lines', async () => {
    await using folder = await project()
    await using opened = await openSource(folder.path, { ...options, build: 'echo the reason; exit 3' })
    const { message } = await failureOf(opened.source.build())
    expect(message).toContain('failed with exit code 3')
    expect(message).toContain('the reason')
  })

  test('that succeeds without making the library is told apart', async () => {
    await using folder = await project()
    await using opened = await openSource(folder.path, { ...options, build: 'true' })
    expect((await failureOf(opened.source.build())).hint).toContain('has run and did not make it')
  })

  test('watches only what "watch" names', async () => {
    await using folder = await project()
    await mkdir(join(folder.path, 'src/deep'), { recursive: true })
    await writeFile(join(folder.path, 'src/deep/a.c'), '')
    await using opened = await openSource(folder.path, { ...options, watch: ['src/**/*.c', 'flexi.h'] })
    await opened.source.build()
    const watched = opened.source.watched()
    expect(watched).toEqual(
      expect.arrayContaining([join(folder.path, 'src/deep/a.c'), join(folder.path, 'flexi.h')]),
    )
    expect(watched).not.toContain(join(folder.path, 'hello.c'))
  })

  test('is ended with its source', async () => {
    await using folder = await project()
    const opened = await openSource(folder.path, { ...options, build: 'echo run >> runs; sleep 60' })
    const building = failureOf(opened.source.build())
    await expect.poll(() => existsSync(join(folder.path, 'runs'))).toBe(true)
    await opened[Symbol.asyncDispose]()
    expect((await building).code).toBe('FLEXI_SHUTTING_DOWN')
  })
})

suite('a project folder that cannot be written', () => {
  test('is no obstacle: the copies are in a private folder of the system’s, and go with the source', async () => {
    await using folder = await temporaryFolder()
    await compileC(join(FIXTURES, 'abi.c'), join(folder.path, 'libfixture.so'))
    // Nobody, root included, can make a folder there.
    await writeFile(join(folder.path, '.flexi'), '')
    const before = await readdir(tmpdir())
    const opened = await openSource(folder.path)
    const code = await opened.source.build()
    const instance = await code.start()
    const made = (await readdir(tmpdir())).filter((name) => !before.includes(name))
    expect(made.filter((name) => name.startsWith(`flexi-native-${process.pid}-`))).toHaveLength(1)
    await instance[Symbol.asyncDispose]()
    await opened[Symbol.asyncDispose]()
    expect(
      (await readdir(tmpdir())).filter((name) => name.startsWith(`flexi-native-${process.pid}-`)),
    ).toEqual([])
  })
})
