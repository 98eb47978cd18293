import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { native } from '../../../src/emulators/native/index.ts'
import { serveFunction, type Served } from '../conformance.ts'
import { configOf, FIXTURES, has, NO_CC } from './compile.ts'

const HEADER = join(import.meta.dirname, '../../../include/flexi.h')

/** Zig as a program or as the Python package, whichever is there. */
function findZig(): readonly string[] | undefined {
  if (has('zig', 'version')) return ['zig']
  return has('python3', '-m', 'ziglang', 'version') ? ['python3', '-m', 'ziglang'] : undefined
}

const zig = findZig()
const NO_ZIG = zig === undefined ? 'neither zig nor python3 -m ziglang is installed' : undefined

function compileZig(source: string, library: string): void {
  const [command = 'zig', ...args] = zig ?? []
  execFileSync(command, [
    ...args,
    'build-lib',
    '-dynamic',
    '-O',
    'ReleaseSafe',
    `-femit-bin=${library}`,
    source,
  ])
}

interface Answers {
  readonly hello: string
  readonly echo: string
  readonly failed: number
  readonly wrong: number
}

/** What a fixture answers, 200 times at once. */
async function answersOf(served: Served): Promise<Answers> {
  const hello = await served.ask('/', { headers: { 'x-name': 'tests' } })
  const echo = await served.ask('/echo?a=1', { method: 'PUT', body: Buffer.from('body') })
  const failed = await served.ask('/fail')
  const many = await Promise.all(Array.from({ length: 200 }, () => served.ask('/')))
  return {
    hello: `${hello.status} ${String(hello.headers['x-powered-by'])} ${hello.body.toString().slice(0, 5)}`,
    echo: echo.body.toString(),
    failed: failed.status,
    wrong: many.filter(({ status }) => status !== 200).length,
  }
}

const answersIn = (language: string): Answers => ({
  hello: `200 ${language} Hello`,
  echo: 'PUT /echo?a=1\nbody',
  failed: 500,
  wrong: 0,
})

test.skipIf(NO_ZIG !== undefined)(
  `a Zig library gets its memory from the allocator given to zigInit (${NO_ZIG ?? 'zig'})`,
  async () => {
    await using served = await serveFunction(native, async (directory) => {
      compileZig(join(FIXTURES, 'zig/hello.zig'), join(directory, 'libfixture.so'))
      return configOf(directory)
    })
    expect(await answersOf(served)).toEqual(answersIn('zig'))
  },
  120_000,
)

test.skipIf(NO_CC !== undefined)(`flexi.h compiles as C and C++, strictly (${NO_CC ?? 'cc'})`, () => {
  const program = `#include "${HEADER}"\nint main(void) { return sizeof(FlexiResponse) == 56 ? 0 : 1; }\n`
  const strict = ['-Wall', '-Wextra', '-Werror', '-pedantic', '-fsyntax-only']
  const languages = has('c++', '--version') ? ['c99', 'c11', 'c17', 'c++17'] : ['c99', 'c11', 'c17']
  for (const standard of languages) {
    const language = standard.startsWith('c++') ? 'c++' : 'c'
    const compile = (): Buffer =>
      execFileSync('cc', [...strict, `-x${language}`, `-std=${standard}`, '-'], { input: program })
    expect(compile).not.toThrow()
  }
})
