import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'

import { beforeAll, describe, expect, test } from 'vitest'

import { ROOT, runFlexi, startFlexi, temporaryFolder, type FlexiProcess } from './flexi-process.ts'

interface Language {
  readonly template: string
  /** The file with the handler. */
  readonly source: string
  /** Tools it needs, and how to ask for them. One of a list is enough. */
  readonly needs: readonly (readonly (readonly string[])[])[]
  /** A line that no compiler takes. */
  readonly mistake: string
  /** Its own test. */
  readonly test: string
}

const CC = [['cc', '--version']]
const ZIG = [
  ['zig', 'version'],
  ['python3', '-m', 'ziglang', 'version'],
]
const MAKE = [['make', '--version']]

const LANGUAGES: readonly Language[] = [
  {
    template: 'native-c',
    source: 'src/hello.c',
    needs: [CC, MAKE],
    mistake: 'int broken(void) { return 1 +; }',
    test: 'make test',
  },
  {
    template: 'native-cpp',
    source: 'src/hello.cpp',
    needs: [[['c++', '--version']], MAKE],
    mistake: 'int broken() { return 1 +; }',
    test: 'make test',
  },
  {
    template: 'native-zig',
    source: 'src/hello.zig',
    needs: [ZIG],
    mistake: 'fn broken() i32 { return 1 +; }',
    test: '$(command -v zig || echo python3 -m ziglang) test src/hello.zig',
  },
  {
    template: 'native-rust',
    source: 'src/lib.rs',
    needs: [[['cargo', '--version']]],
    mistake: 'fn broken() -> i32 { 1 + }',
    test: 'cargo test --offline --quiet',
  },
  {
    template: 'native-go',
    source: 'hello.go',
    needs: [[['go', 'version']], CC],
    mistake: 'func broken() int { return 1 + }',
    test: 'go vet . && go test',
  },
]

function runs([command = '', ...args]: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Go compiles its library for C once a machine, which takes longer than these tests wait for flexi to be ready. */
const WARM_GO = 'go build -buildmode=c-shared -o warm.so .'

/** The tool that is not installed; undefined when all are. */
function lacks({ needs }: Language): string | undefined {
  return needs.find((alternatives) => !alternatives.some(runs))?.[0]?.[0]
}

interface Answer {
  readonly status: number
  /** Of the library: what the server adds is left out. */
  readonly custom: string | undefined
  readonly type: string | undefined
  readonly body: string
  readonly ms: number
}

/** Sends exactly these headers: HTTP/1.0 needs none. */
async function ask(url: string, headers: readonly string[]): Promise<Answer> {
  const startedAt = performance.now()
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('latin1')
  let text = ''
  socket.on('data', (chunk: string) => (text += chunk))
  socket.write(`GET / HTTP/1.0\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`)
  await once(socket, 'end')
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]
  return {
    status: Number(head.split(' ')[1]),
    custom: field('X-custom-foo'),
    type: field('content-type'),
    // Two line ends in a body look like another head.
    body: text.slice(head.length + 4, head.length + 4 + Number(field('content-length') ?? body.length)),
    ms: performance.now() - startedAt,
  }
}

const LOG = 'x-log-this: I am a teapot'
const IAM = 'Host: iam.aws.lerch.org'

/** FlexiLib's sample library: the headers of a request, and what it answers. */
const ROWS = [
  [['Accept: */*'], 200, ' 1', 'bar'],
  [[IAM, 'Accept: */*'], 200, 'iam response', undefined],
  [['x-slow: 1'], 200, 'i am slow\n\n', undefined],
  [[LOG], 200, 'I am a teapot 1', 'bar'],
  [[LOG, 'x-throw: 1'], 500, 'I am a teapot', undefined],
  [[LOG, 'x-throw: 1', 'x-status: 418'], 418, 'I am a teapot', undefined],
  [['x-status: 418'], 418, ' 1', 'bar'],
  // What decides when several are there, and what is no number.
  [['x-throw: 1', 'x-slow: 0', 'hOsT: iam'], 200, 'iam response', undefined],
  [['Host: IAM', 'x-throw: 1', 'X-SLOW: 0'], 200, 'i am slow\n\n', undefined],
  [['x-status: teapot', LOG], 500, 'I am a teapot 2', 'bar'],
  [['x-status: 1024'], 500, ' 1', 'bar'],
] as const

/** What the rows' requests are answered with, as rows. */
async function sampleAnswers(url: string): Promise<unknown[]> {
  const rows: unknown[] = []
  for (const [headers] of ROWS) {
    const { status, body, custom, type } = await ask(url, headers)
    expect(type).toBe('text/plain')
    rows.push([headers, status, body, custom])
  }
  return rows
}

/** Many at once, some asleep: each gets its own answer, or something is shared that should not be. */
async function expectReentrant(url: string): Promise<void> {
  const texts = Array.from({ length: 120 }, (_, index) => `text ${index} ${'x'.repeat(index * 7 + 1)}`)
  const asleep = Array.from({ length: 6 }, () => ask(url, ['x-slow: 30']))
  const answers = await Promise.all(texts.map((text) => ask(url, [`x-log-this: ${text}`])))
  expect(answers.map(({ body }) => body)).toEqual(texts.map((text) => `${text} 1`))
  expect((await Promise.all(asleep)).map(({ body }) => body)).toEqual(asleep.map(() => 'i am slow\n\n'))
}

async function expectReload(flexi: FlexiProcess, source: string, language: Language): Promise<void> {
  const original = await readFile(source, 'utf8')
  const edited = original.replace('iam response', 'iam RESPONSE')
  expect(edited).not.toBe(original)
  await writeFile(source, edited)
  await flexi.event('reload')
  expect((await ask(flexi.url, [IAM])).body).toBe('iam RESPONSE')

  flexi.forget()
  await writeFile(source, `${edited}${language.mistake}\n`)
  const { faults, code } = await flexi.event('error')
  expect(code).toBe('FLEXI_BUILD')
  const fault = faults.find(({ place }) => place.file === source)
  expect(fault).toMatchObject({
    place: { line: edited.split('\n').length },
    text: language.mistake,
    severity: 'error',
  })
  expect(fault?.place.column).toBeGreaterThan(10)
  expect((await ask(flexi.url, [IAM])).body).toBe('iam RESPONSE')

  flexi.forget()
  await writeFile(source, edited.replace('iam RESPONSE', 'iam mended!!'))
  await flexi.event('reload')
  expect((await ask(flexi.url, [IAM])).body).toBe('iam mended!!')
  expect(flexi.events.filter(({ event }) => event === 'error' || event === 'fault')).toEqual([])
}

async function create(parent: string, template: string): Promise<string> {
  const made = await runFlexi(['new', '--template', template, '--yes', 'my-lib'], { cwd: parent })
  expect(made.code).toBe(0)
  return join(parent, 'my-lib')
}

const GO = LANGUAGES.find(({ template }) => template === 'native-go')
const noGo = GO === undefined ? 'go' : lacks(GO)

beforeAll(async () => {
  if (noGo !== undefined) return
  await using folder = await temporaryFolder(join(ROOT, 'templates/native-go'))
  execFileSync('sh', ['-c', WARM_GO], { cwd: folder.path })
}, 180_000)

describe.each(LANGUAGES)('the template $template', (language) => {
  const missing = lacks(language)
  const why = missing === undefined ? '' : ` (${missing} is not installed)`

  test.skipIf(missing !== undefined)(
    `answers as FlexiLib’s sample, is rebuilt on save, and serves on with the last good library${why}`,
    async () => {
      await using folder = await temporaryFolder()
      const project = await create(folder.path, language.template)
      await using flexi = await startFlexi(project, [], { SERVER_THREAD_COUNT: '8' })
      expect(await sampleAnswers(flexi.url)).toEqual(ROWS)
      expect((await ask(flexi.url, ['x-slow: 400'])).ms).toBeGreaterThanOrEqual(395)
      await expectReentrant(flexi.url)
      await expectReload(flexi, join(project, language.source), language)
    },
    180_000,
  )

  test.skipIf(missing !== undefined)(
    `passes its own tests${why}`,
    async () => {
      await using folder = await temporaryFolder()
      const project = await create(folder.path, language.template)
      const run = (): Buffer => execFileSync('sh', ['-c', language.test], { cwd: project, stdio: 'pipe' })
      expect(run).not.toThrow()
      await rm(project, { recursive: true, force: true })
    },
    180_000,
  )
})

test.skipIf(noGo !== undefined)(
  `Go’s own handling of signals and panics costs what goes wrong, and nothing else${noGo === undefined ? '' : ` (${noGo} is not installed)`}`,
  async () => {
    await using folder = await temporaryFolder()
    const project = await create(folder.path, 'native-go')
    const source = join(project, 'hello.go')
    const wrong = `
	if strings.HasPrefix(request.Target, "/nil") {
		var nothing *Request
		response.Body = []byte(nothing.Target)
	}
	if strings.HasPrefix(request.Target, "/goroutine") {
		go func() { panic("nobody recovers this") }()
		time.Sleep(time.Minute)
	}
	response.Body = append(`
    await writeFile(source, (await readFile(source, 'utf8')).replace('\n\tresponse.Body = append(', wrong))
    await using flexi = await startFlexi(project)
    const statuses: number[] = []
    for (const path of ['/', '/nil', '/', '/goroutine', '/'])
      statuses.push((await fetch(`${flexi.url}${path}`)).status)
    expect(statuses).toEqual([200, 500, 200, 502, 200])
  },
  180_000,
)

describe.skipIf(!CC.some(runs))(`a build that hangs${CC.some(runs) ? '' : ' (cc is not installed)'}`, () => {
  /** A project whose next build notes its process and hangs, as long as the file `hang` is there. */
  async function hanging(parent: string): Promise<{ project: string; config: string; source: string }> {
    const project = await create(parent, 'native-c')
    const config = join(project, 'flexi.jsonc')
    const hang = '"build": "[ -e hang ] && { sleep 300 & echo $! > pid; wait; }; cc '
    await writeFile(config, (await readFile(config, 'utf8')).replace('"build": "cc ', hang))
    return { project, config, source: join(project, 'src/hello.c') }
  }
  const pidOf = async (project: string): Promise<number> => {
    const read = async (): Promise<number> =>
      Number(await readFile(join(project, 'pid'), 'utf8').catch(() => 0))
    await expect.poll(read, { timeout: 5_000 }).toBeGreaterThan(0)
    return read()
  }
  /** A process that has ended keeps its number until its new parent asks for it. */
  const running = async (pid: number): Promise<boolean> => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
    return !stat.includes(') Z')
  }

  test('is ended when flexi.jsonc has another command, also before that one was ever served', async () => {
    await using folder = await temporaryFolder()
    const { project, config, source } = await hanging(folder.path)
    await using flexi = await startFlexi(project)
    await writeFile(join(project, 'hang'), '')
    await appendFile(source, '// one\n')
    const first = await pidOf(project)
    flexi.forget()
    await rm(join(project, 'pid'))
    await writeFile(config, (await readFile(config, 'utf8')).replace('-O2', '-O1'))
    // The new command hangs as well; the old one is still waited for by nobody.
    const second = await pidOf(project)
    await writeFile(config, (await readFile(config, 'utf8')).replace('-e hang', '-e nothing'))
    await flexi.event('configuration')
    await expect.poll(() => Promise.all([first, second].map(running))).toEqual([false, false])
    expect(flexi.events.filter(({ event }) => event === 'error')).toEqual([])
  })

  test('does not keep flexi from ending, and is ended with it', async () => {
    await using folder = await temporaryFolder()
    const { project, source } = await hanging(folder.path)
    await using flexi = await startFlexi(project)
    await writeFile(join(project, 'hang'), '')
    await appendFile(source, '// one\n')
    const pid = await pidOf(project)
    const startedAt = performance.now()
    flexi.signal('SIGTERM')
    expect((await flexi.exited).code).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(4_000)
    await expect.poll(() => running(pid)).toBe(false)
  })
})

test.each(['native-c/src', 'native-cpp/src', 'native-go'])(
  '%s has the package’s own flexi.h',
  async (place) => {
    const header = await readFile(join(ROOT, 'include/flexi.h'), 'utf8')
    expect(await readFile(join(ROOT, 'templates', place, 'flexi.h'), 'utf8')).toBe(header)
  },
)
