import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { describe, expect, test } from 'vitest'

import type { OutputLine } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { runBuildCommand, type RunningBuild } from '../../../src/emulators/native/build-command.ts'
import { missingTool } from '../../../src/emulators/native/build-tools.ts'
import { createCompiler, type Compiler } from '../../../src/emulators/native/compiler.ts'
import { findSources } from '../../../src/emulators/native/sources.ts'
import { failureOf, temporaryFolder } from './compile.ts'

interface Project extends AsyncDisposable {
  readonly path: AbsolutePath
  readonly lines: OutputLine[]
  /** What the command is run with, once. */
  run(command: string, limitMs?: number): RunningBuild
  compiler(command: string, graceMs?: number): Compiler
  save(file: string, content: string): Promise<AbsolutePath>
  /** What the command has appended to the file `runs`. */
  runs(): Promise<string[]>
}

async function project(): Promise<Project> {
  const folder = await temporaryFolder()
  const lines: OutputLine[] = []
  const config = {
    directory: folder.path,
    environment: {},
    origin: { file: join(folder.path, 'flexi.jsonc'), line: 4, column: 16 },
  }
  const scope = { output: (line: OutputLine): void => void lines.push(line) }
  await mkdir(join(folder.path, 'src'))
  return {
    path: folder.path,
    lines,
    run: (command, limitMs) => runBuildCommand({ ...config, scope, command, limitMs }),
    compiler: (command, graceMs) =>
      createCompiler({
        config,
        scope,
        command,
        graceMs,
        watch: ['src'],
        library: join(folder.path, 'lib.so') as AbsolutePath,
      }),
    async save(file, content) {
      const path = join(folder.path, file) as AbsolutePath
      await writeFile(path, content)
      return path
    },
    async runs() {
      const text = await readFile(join(folder.path, 'runs'), 'utf8').catch(() => '')
      return text.split('\n').slice(0, -1)
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

describe('a command', () => {
  test('that hangs is ended at its limit, with everything it started', async () => {
    await using folder = await project()
    const command = 'echo working; sh -c "sleep 300 & echo \\$! > pid; wait"'
    const error = await failureOf(folder.run(command, 300).done)
    expect(error.message).toBe(`"${command}" did not end within 0.3 seconds\n  working`)
    expect(error.hint).toContain('It can read no input')
    const pid = Number(await readFile(join(folder.path, 'pid'), 'utf8'))
    const stat = (): Promise<string> => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
    await expect.poll(stat).toContain(') Z')
  })

  test('that will not end when it is asked to is made to', async () => {
    await using folder = await project()
    const startedAt = performance.now()
    await failureOf(folder.run('trap "" TERM; while :; do sleep 0.05; done', 100).done)
    expect(performance.now() - startedAt).toBeLessThan(4_000)
  })

  test('is asked first, so that make removes what it has half written', async () => {
    await using folder = await project()
    await failureOf(folder.run('trap "echo cleaned > runs; exit 1" TERM; sleep 300 & wait', 200).done)
    expect(await folder.runs()).toEqual(['cleaned'])
  })

  test('that prints without end is ended, and only its last lines are kept', async () => {
    await using folder = await project()
    const { message } = await failureOf(folder.run('yes "a line that is printed for ever"').done)
    expect(message).toContain('printed more than 64 MB')
    expect(message.length).toBeLessThan(1_000)
  })

  test('that asks for input gets none, and ends', async () => {
    await using folder = await project()
    const { message } = await failureOf(folder.run('read answer || { echo no answer; exit 3; }').done)
    expect(message).toContain('failed with exit code 3\n  no answer')
  })

  test('that succeeds tells its warnings as warnings, anything else as information, and no progress of cargo', async () => {
    await using folder = await project()
    await folder.run('echo "a.c:1:2: warning: unused" >&2').done
    await folder.run('echo "   Compiling hello v0.1.0"; echo generated 5 files').done
    expect(folder.lines).toEqual([
      { stream: 'stderr', level: 'warn', text: 'a.c:1:2: warning: unused' },
      { stream: 'stderr', level: 'info', text: 'generated 5 files' },
    ])
  })

  test('that succeeds with many lines shows 200 of them', async () => {
    await using folder = await project()
    await folder.run('seq 1 100000').done
    expect(folder.lines).toHaveLength(201)
    expect(folder.lines.at(-1)?.text).toBe('… and 99800 more lines')
  })

  test('has compilers speak English, because their words are read', async () => {
    await using folder = await project()
    await folder.run('echo $LANGUAGE > runs').done
    expect(await folder.runs()).toEqual(['en'])
  })

  test('that fails in a source and lacks a program besides tells both', async () => {
    await using folder = await project()
    const command = 'pkg-configg --cflags; echo "a.c:1:2: error: bad" >&2; exit 1'
    const error = await failureOf(folder.run(command).done)
    expect(error.code).toBe('FLEXI_BUILD')
    expect(error.faults[0]?.message).toBe('bad')
    expect(error.hint).toContain('pkg-configg is not installed')
  })
})

describe('a compiler that is not there', () => {
  const CC = /^Install a C compiler: "apt install build-essential"/
  const ZIG = /ziglang\.org\/download.*pip install ziglang/
  test.each([
    ['dash', 'sh: 1: cc: not found', 'cc', CC],
    ['bash', 'bash: line 1: g++: command not found', 'g++', /C\+\+ compiler/],
    ['bash on macOS', 'sh: cargo: command not found', 'cargo', /rustup\.rs/],
    ['make', 'make: zig: No such file or directory', 'zig', ZIG],
    ['env', 'env: ‘go’: No such file or directory', 'go', /go\.dev\/dl/],
    ['cargo', 'error: linker `cc` not found', 'cc', CC],
    ['cgo', 'cgo: C compiler "gcc" not found: exec: "gcc": executable file not found in $PATH', 'gcc', CC],
    [
      'go, which then turns cgo off',
      '-buildmode=c-shared requires external (cgo) linking, but cgo is not enabled',
      'a C compiler for cgo',
      /CGO_ENABLED=1/,
    ],
    ['python', '/usr/bin/python3: No module named ziglang', 'Zig', ZIG],
    [
      'rustup',
      "error: rustup could not choose a version of cargo to run, because one wasn't specified explicitly, and no default is configured.",
      'a Rust toolchain',
      /rustup default stable/,
    ],
    ['a shell, of a file', 'sh: 1: ./configure: not found', './configure', /^Make \.\/configure/],
    [
      'a shell, of a program nobody knows',
      'sh: 1: constructor: not found',
      'constructor',
      /^Install constructor/,
    ],
  ])('as %s says it, is named with what to install', (_who, line, name, hint) => {
    const tool = missingTool(['something else', line], 'make')
    expect(tool?.name).toBe(name)
    expect(tool?.hint).toMatch(hint)
  })

  test('is Zig when Python is missing that should have run it', () => {
    expect(missingTool(['sh: 1: python3: not found'], 'zig || python3 -m ziglang')?.name).toBe('Zig')
  })
})

describe('a library that was not made', () => {
  test('is named with its whole path, and with the one that was made instead', async () => {
    await using folder = await project()
    const elsewhere = 'mkdir -p target/debug && echo x > target/debug/libhello.so'
    const error = await failureOf(folder.compiler(elsewhere).compile())
    expect(error.message).toBe(`the build made no library ${join(folder.path, 'lib.so')}`)
    expect(error.hint).toContain('is it target/debug/libhello.so?')
  })
})

test('the header that Go writes beside its library is no source, and others are', async () => {
  await using folder = await project()
  for (const name of ['lib.h', 'lib.so', 'hello.go', 'flexi.h', 'notes.txt']) await folder.save(name, '')
  const { files } = await findSources(folder.path, { except: join(folder.path, 'lib.so') as AbsolutePath })
  expect(files.map((file) => basename(file))).toEqual(['flexi.h', 'hello.go'])
})

describe('a source that changes while the command runs', () => {
  /** Notes what it reads, waits for the file `go`, and makes the library. */
  const SLOW = 'cat src/a.c >> runs; until [ -e go ]; do sleep 0.02; done; echo x > lib.so'

  test('causes one more run, however often it is saved', async () => {
    await using folder = await project()
    await folder.save('src/a.c', 'one\n')
    const compiler = folder.compiler(SLOW)
    const compiling = compiler.compile()
    await expect.poll(() => folder.runs()).toEqual(['one'])
    for (const content of ['two\n', 'three\n']) compiler.changed([await folder.save('src/a.c', content)])
    await folder.save('go', '')
    await compiling
    expect(await folder.runs()).toEqual(['one', 'three'])
    await compiler.compile()
    expect(await folder.runs()).toEqual(['one', 'three'])
  })

  test('is built again though it was saved in the second run too', async () => {
    await using folder = await project()
    await folder.save('src/a.c', 'one\n')
    const slow = 'cat src/a.c >> runs; until [ -e "go$(wc -l < runs)" ]; do sleep 0.02; done; echo x > lib.so'
    const compiling = folder.compiler(slow).compile()
    for (const [index, content] of ['one', 'two', 'three'].entries()) {
      await expect.poll(async () => (await folder.runs()).at(-1)).toBe(content)
      if (index < 2) await folder.save('src/a.c', `${['two', 'three'][index]}\n`)
      await folder.save(`go${index + 1}`, '')
    }
    await compiling
    expect(await folder.runs()).toEqual(['one', 'two', 'three'])
  })

  test('ends a command that hangs, and the next run has the change', async () => {
    await using folder = await project()
    const file = await folder.save('src/a.c', 'one\n')
    const hangs = 'cat src/a.c >> runs; grep -q two src/a.c || sleep 300; echo x > lib.so'
    const compiler = folder.compiler(hangs, 0)
    const compiling = compiler.compile()
    await expect.poll(() => folder.runs()).toEqual(['one'])
    await writeFile(file, 'two\n')
    compiler.changed([file])
    await compiling
    expect(await folder.runs()).toEqual(['one', 'two'])
  })

  test('and is no source of this library ends nothing', async () => {
    await using folder = await project()
    await folder.save('src/a.c', 'one\n')
    const compiler = folder.compiler(SLOW, 0)
    const compiling = compiler.compile()
    await expect.poll(() => folder.runs()).toEqual(['one'])
    compiler.changed([await folder.save('notes.txt', ''), join(folder.path, 'lib.so') as AbsolutePath])
    await folder.save('go', '')
    await compiling
    expect(await folder.runs()).toEqual(['one'])
  })

  test('because the command writes it, always the same, is built twice and then believed', async () => {
    await using folder = await project()
    const file = await folder.save('src/a.c', 'one\n')
    const generates = 'cat src/a.c >> runs; echo "#define A 1" > src/made.h; echo x > lib.so'
    const compiler = folder.compiler(generates)
    await compiler.compile()
    expect(await folder.runs()).toEqual(['one', 'one'])
    await compiler.compile()
    await writeFile(file, 'two\n')
    await compiler.compile()
    expect(await folder.runs()).toEqual(['one', 'one', 'two'])
  })

  test('because the command writes it, never the same, is believed after five runs', async () => {
    await using folder = await project()
    await folder.save('src/a.c', 'one\n')
    const compiler = folder.compiler('cat src/a.c >> runs; wc -l runs > src/made.h; echo x > lib.so')
    await compiler.compile()
    await compiler.compile()
    expect(await folder.runs()).toHaveLength(5)
  })

  test('and the command is stopped for good: it rejects, and is never run again', async () => {
    await using folder = await project()
    await folder.save('src/a.c', 'one\n')
    const compiler = folder.compiler('cat src/a.c >> runs; sleep 300')
    const compiling = failureOf(compiler.compile())
    await expect.poll(() => folder.runs()).toEqual(['one'])
    compiler.stop()
    expect((await compiling).code).toBe('FLEXI_SHUTTING_DOWN')
    await appendFile(join(folder.path, 'src/a.c'), 'two\n')
    expect((await failureOf(compiler.compile())).code).toBe('FLEXI_SHUTTING_DOWN')
    expect(await folder.runs()).toEqual(['one'])
  })
})
