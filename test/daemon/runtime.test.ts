import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { afterEach, describe, expect, test } from 'vitest'

import { createLogger, type LogRecord as OwnRecord } from '../../src/core/log.ts'
import { logTailOf } from '../../src/daemon/functions/log-tail.ts'
import type { RuntimeOptions } from '../../src/daemon/functions/open-runtime.ts'
import { hasBwrap } from '../sandbox/machine.ts'
import { Deployed, handler, LAMBDA, PROCESS, program } from './runtime-fixture.ts'

const DEEP =
  'd=$(printf %0250d 0); i=0; while [ $i -lt 20 ]; do mkdir $d; cd -P $d || exit; i=$((i+1)); done; echo x > f'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const resource of open.splice(0).toReversed()) await resource[Symbol.asyncDispose]()
})

async function deployed(options: Partial<RuntimeOptions> = {}): Promise<Deployed> {
  const made = await Deployed.open(options)
  open.push(made)
  return made
}

describe('a version that is added', () => {
  test('is idle until somebody asks: the first request opens and starts it, and is answered', async () => {
    const { runtime, ...rest } = await withLambda('return { statusCode: 200, body: "hello" }')
    expect(runtime.status(rest.key)).toMatchObject({ state: 'idle', instances: 0, restarts: 0 })
    expect(await rest.ask()).toEqual({ status: 200, text: 'hello' })
    expect(runtime.status(rest.key)).toMatchObject({ state: 'running', instances: 1 })
  })

  test('has one fetcher for as long as it is known, and none afterwards', async () => {
    const { runtime, key } = await withLambda('return "x"')
    const fetcher = runtime.fetcher(key)
    await runtime.start(key)
    await runtime.stop(key)
    expect(runtime.fetcher(key)).toBe(fetcher)
    await runtime.remove(key)
    await runtime.remove(key)
    expect(runtime.fetcher(key)).toBeUndefined()
    expect(runtime.status(key)).toBeUndefined()
  })

  test('opens once for all who ask at first', async () => {
    const { ask } = await withLambda('return { statusCode: 200, body: "one" }')
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask()))
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['one']))
  })

  test('stays as it is when it is added again', async () => {
    const { runtime, key, record } = await withLambda('return "x"')
    await runtime.start(key)
    runtime.add(record)
    expect(runtime.status(key)?.state).toBe('running')
  })

  test('five hundred cost next to nothing, because each is no more than its record', async () => {
    const made = await deployed()
    const record = await made.ship({ files: handler('return "x"'), config: LAMBDA })
    const before = process.memoryUsage().heapUsed
    const from = performance.now()
    for (let number = 0; number < 500; number += 1) made.runtime.add({ ...record, name: `hello-${number}` })
    expect(performance.now() - from).toBeLessThan(200)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 * 1024 * 1024)
    expect(made.runtime.statuses()).toHaveLength(500)
  })

  test('that is wanted stopped answers 503 until it is started', async () => {
    const made = await deployed()
    const key = await made.add({
      files: handler('return { statusCode: 200 }'),
      config: LAMBDA,
      wanted: 'stopped',
    })
    expect((await made.ask(key)).status).toBe(503)
    await made.runtime.start(key)
    expect((await made.ask(key)).status).toBe(200)
  })

  test('invoke is answered like a request is', async () => {
    const { runtime, key } = await withLambda('return { got: event.n }')
    const result = await runtime.invoke(key, Buffer.from('{"n":7}'), {
      id: 'a',
      deadline: Date.now() + 5_000,
      signal: AbortSignal.timeout(5_000),
    })
    expect(Buffer.from(result.payload).toString()).toBe('{"got":7}')
  })
})

describe('start', () => {
  test('fails with why and what the function printed, and leaves it known', async () => {
    const made = await deployed()
    const files = { 'index.mjs': 'console.log("before it breaks"); throw new Error("no database")' }
    const key = await made.add({ files, config: LAMBDA })
    const heard: string[] = []
    const error = await made.runtime
      .start(key, { onLog: (text) => heard.push(text) })
      .catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'FLEXI_FUNCTION_INIT' })
    expect(logTailOf(error).join('\n')).toContain('before it breaks')
    expect(logTailOf(error).join('\n')).toContain('no database')
    expect(heard.join('\n')).toContain('no database')
    expect(made.runtime.status(key)).toMatchObject({ state: 'crashed', instances: 0 })
    expect((await made.ask(key)).status).toBe(502)
  })

  test('refuses a provider that there is none of', async () => {
    const made = await deployed()
    const key = await made.add({ files: {}, config: { provider: 'cobol' } })
    await expect(made.runtime.start(key)).rejects.toMatchObject({
      code: 'FLEXI_DEPLOY',
      message: 'hello@v1: no provider is called cobol',
    })
    expect((await made.ask(key)).status).toBe(422)
  })

  test('refuses what the sandbox cannot enforce, before anything of it runs', async () => {
    const refusing = await deployed({
      sandbox: {
        capabilities: {
          isolation: 'bubblewrap 0.8.0',
          systemCalls: true,
          limits: 'none',
          egress: undefined,
          ownUsers: false,
          notes: [],
        },
        check: () => ['there is no system call "frok"'],
        open: () => Promise.reject(new Error('never opened')),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
    })
    const key = await refusing.add({ files: handler('return "x"'), config: LAMBDA })
    await expect(refusing.runtime.start(key)).rejects.toMatchObject({
      code: 'FLEXI_SANDBOX',
      message: 'hello@v1 cannot be kept apart as it asks: there is no system call "frok"',
    })
  })

  test('waits for as many as are to run unasked', async () => {
    const made = await deployed()
    const key = await made.add({
      files: handler('return { statusCode: 200 }'),
      config: { ...LAMBDA, instances: { min: 3 } },
    })
    await made.runtime.start(key)
    expect(made.runtime.status(key)).toMatchObject({ state: 'running', instances: 3 })
  })

  test('waits for no more than there can be, and not for one that ends', async () => {
    const made = await deployed()
    const listening = {
      'server.mjs': `import { createServer } from 'node:http'
createServer((request, response) => response.end('one')).listen(Number(process.env.FIXED), '127.0.0.1')`,
    }
    const port = 20_000 + (process.pid % 10_000)
    const alone = await made.add({
      files: listening,
      config: {
        ...PROCESS,
        environment: { FIXED: String(port) },
        options: { ...PROCESS.options, listen: port },
        instances: { min: 2 },
      },
    })
    await made.runtime.start(alone)
    expect(made.runtime.status(alone)).toMatchObject({ state: 'running', instances: 1 })
    const before = `import { appendFileSync, readFileSync } from 'node:fs'
appendFileSync(process.env.COUNT, 'x')
const starts = readFileSync(process.env.COUNT, 'utf8').length
if (starts === 2) setTimeout(() => process.exit(4), 150)
if (starts > 2) await new Promise((resolve) => setTimeout(resolve, 5_000))`
    const ending = await made.add({
      name: 'ending',
      files: program('response.end()', before),
      config: { ...PROCESS, environment: { COUNT: `${made.directory}/count` }, instances: { min: 3 } },
    })
    await expect(made.runtime.start(ending)).rejects.toMatchObject({
      code: 'FLEXI_FUNCTION_CRASHED',
      message: expect.stringMatching(/^ending@v1 has ended while it was started: .*exit code 4/) as string,
    })
    await made.runtime.stop(ending)
  })

  test('ends when it is told to, and leaves nothing running', async () => {
    const made = await deployed()
    const files = { 'index.mjs': 'await new Promise((resolve) => setTimeout(resolve, 8_000))' }
    const key = await made.add({ files, config: LAMBDA })
    const leaving = new AbortController()
    const starting = made.runtime.start(key, { signal: leaving.signal })
    leaving.abort(new Error('the deployment was given up'))
    await expect(starting).rejects.toThrow('the deployment was given up')
    expect(made.runtime.status(key)).toMatchObject({ instances: 0 })
  })

  test('that is given up ends nothing that others have asked for meanwhile', async () => {
    const made = await deployed()
    const before = 'await new Promise((resolve) => setTimeout(resolve, 500))'
    const files = program(`setTimeout(() => response.end('here'), request.url === '/slow' ? 300 : 0)`, before)
    const key = await made.add({ files, config: PROCESS })
    const leaving = new AbortController()
    const starting = made.runtime.start(key, { signal: leaving.signal })
    const asked = made.ask(key, '/slow')
    await expect.poll(() => made.runtime.status(key)?.state).toBe('starting')
    leaving.abort(new Error('the deployment was given up'))
    await expect(starting).rejects.toThrow('the deployment was given up')
    expect(await made.ask(key)).toEqual({ status: 200, text: 'here' })
    expect(await asked).toEqual({ status: 200, text: 'here' })
    expect(made.runtime.status(key)).toMatchObject({ state: 'running', instances: 1 })
  })

  test('that is given up is no fault of the version: who asks next is answered', async () => {
    const made = await deployed()
    const before = 'await new Promise((resolve) => setTimeout(resolve, 300))'
    const key = await made.add({ files: program(`response.end('here')`, before), config: PROCESS })
    const leaving = new AbortController()
    const starting = made.runtime.start(key, { signal: leaving.signal })
    await expect.poll(() => made.runtime.status(key)?.state).toBe('starting')
    leaving.abort(new Error('the deployment was given up'))
    await expect(starting).rejects.toThrow('the deployment was given up')
    expect(made.runtime.status(key)).toMatchObject({ state: 'idle', instances: 0 })
    expect(await made.ask(key)).toEqual({ status: 200, text: 'here' })
  })

  test('that is given up of one that is to run unasked is tried again', async () => {
    const made = await deployed()
    const before = 'await new Promise((resolve) => setTimeout(resolve, 300))'
    const config = { ...PROCESS, instances: { min: 1 } }
    const key = await made.add({ files: program(`response.end('here')`, before), config })
    const leaving = new AbortController()
    const starting = made.runtime.start(key, { signal: leaving.signal })
    leaving.abort(new Error('the deployment was given up'))
    await expect(starting).rejects.toThrow('the deployment was given up')
    await expect.poll(() => made.runtime.status(key), { timeout: 5_000 }).toMatchObject({ instances: 1 })
  })

  test('stop ends a start that is under way', async () => {
    const made = await deployed()
    const files = { 'index.mjs': 'await new Promise((resolve) => setTimeout(resolve, 8_000))' }
    const key = await made.add({ files, config: LAMBDA })
    const starting = made.runtime.start(key).catch((error: unknown) => error)
    await expect.poll(() => made.runtime.status(key)?.state).toBe('starting')
    await made.runtime.stop(key)
    expect(await starting).toMatchObject({ code: 'FLEXI_SHUTTING_DOWN' })
    expect(made.runtime.status(key)?.state).toBe('stopped')
  })
})

describe('health', () => {
  test('a start counts once the path answers below 500', async () => {
    const made = await deployed()
    const body = `
      globalThis.asked = (globalThis.asked ?? 0) + 1
      response.statusCode = request.url === '/ready' && globalThis.asked < 3 ? 503 : 404
      response.end(String(globalThis.asked))`
    const config = { ...PROCESS, health: { path: '/ready' } }
    const key = await made.add({ files: program(body), config })
    await made.runtime.start(key)
    expect((await made.ask(key)).text).toBe('4')
  })

  test('one that never gets well fails the start with its last answer and its log', async () => {
    const made = await deployed()
    const body = `console.error('no connection to the database'); response.statusCode = 503; response.end()`
    const config = { ...PROCESS, health: { path: '/ready', timeoutMs: 300 } }
    const key = await made.add({ files: program(body), config })
    const error = await made.runtime.start(key).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'FLEXI_DEPLOY' })
    expect(String(error)).toMatch(
      /hello@v1 did not become healthy within 0.3 s: GET \/ready answered 503 \(asked \d+ times\)/,
    )
    expect(logTailOf(error)).toContain('no connection to the database')
    expect(made.runtime.status(key)).toMatchObject({ state: 'crashed', instances: 0 })
  })

  test('a check that hangs has its limit', async () => {
    const made = await deployed()
    const config = { ...PROCESS, health: { path: '/ready', timeoutMs: 200 } }
    const key = await made.add({ files: program(''), config })
    await expect(made.runtime.start(key)).rejects.toMatchObject({
      code: 'FLEXI_DEPLOY',
      message: expect.stringContaining('no answer in time') as string,
    })
  })
})

describe('stop', () => {
  test('what is under way finishes, what comes is refused, and then nothing runs', async () => {
    const made = await deployed()
    const body = `setTimeout(() => response.end('finished'), 300)`
    const key = await made.add({ files: program(body), config: PROCESS })
    await made.runtime.start(key)
    const slow = made.ask(key)
    await expect.poll(() => made.runtime.status(key)?.inFlight).toBe(1)
    const stopping = made.runtime.stop(key)
    expect((await made.ask(key)).status).toBe(503)
    expect(await slow).toEqual({ status: 200, text: 'finished' })
    await stopping
    expect(made.runtime.status(key)).toMatchObject({ state: 'stopped', instances: 0, inFlight: 0 })
  })

  test('a stopped version starts again', async () => {
    const { runtime, key, ask } = await withLambda('return { statusCode: 200, body: "again" }')
    await runtime.start(key)
    await runtime.stop(key)
    await runtime.stop(key)
    await runtime.start(key)
    expect((await ask()).text).toBe('again')
  })

  test('the state of a version that was removed is gone, the function’s own stays until it is forgotten', async () => {
    const { runtime, key, ask, directory, logged } = await withLambda(
      'console.log("x"); return { statusCode: 200 }',
    )
    await ask()
    const { existsSync } = await import('node:fs')
    expect(existsSync(`${directory}/state/.versions/hello/v1`)).toBe(true)
    await runtime.remove(key)
    expect(existsSync(`${directory}/state/.versions/hello/v1`)).toBe(false)
    expect((await logged('hello')).length).toBeGreaterThan(0)
    // Folders too deep for a path are a function's to make, and nobody else's to find.
    await promisify(execFile)('sh', ['-c', DEEP], { cwd: `${directory}/state/hello` })
    await runtime.forget('hello')
    expect(existsSync(`${directory}/state/hello`)).toBe(false)
    expect(await logged('hello')).toEqual([])
  })
})

describe('refresh', () => {
  test('new instances see new variables, and no request fails meanwhile', async () => {
    const made = await deployed()
    const key = await made.add({
      files: handler('return { statusCode: 200, body: process.env.GREETING ?? "none" }'),
      config: LAMBDA,
    })
    await made.runtime.start(key)
    expect((await made.ask(key)).text).toBe('none')
    let asking = true
    const answers: string[] = []
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (asking) {
          const { status, text } = await made.ask(key)
          answers.push(`${status} ${text}`)
        }
      }),
    )
    for (const greeting of ['one', 'two', 'three']) {
      made.variables['GREETING'] = greeting
      await made.runtime.refresh(key)
    }
    await expect.poll(() => answers.at(-1)).toBe('200 three')
    asking = false
    await load
    expect([...new Set(answers.map((answer) => answer.split(' ')[0]))]).toEqual(['200'])
  })

  test('variables come before what the files say, and YFASS’s section before both', async () => {
    const made = await deployed()
    made.variables['A'] = 'set'
    made.variables['B'] = 'set'
    const key = await made.ship({
      files: handler('const { A, B, C } = process.env; return { statusCode: 200, body: [A, B, C].join() }'),
      config: { ...LAMBDA, environment: { A: 'file', B: 'file', C: 'file' } },
    })
    const envs = { B: 'section', C: null }
    made.runtime.add({ ...key, config: { ...key.config, sandbox: { ...key.config.sandbox, envs } } })
    expect((await made.ask(key)).text).toBe('set,section,')
  })

  test('another number of instances keeps those that run', async () => {
    const made = await deployed()
    const body =
      'globalThis.n = (globalThis.n ?? 0) + 1; return { statusCode: 200, body: String(globalThis.n) }'
    const key = await made.add({ files: handler(body), config: LAMBDA })
    await made.ask(key)
    await made.runtime.refresh({ ...key, config: { ...key.config, instances: { min: 2 } } })
    await expect.poll(() => made.runtime.status(key)?.instances).toBe(2)
    const seen = [(await made.ask(key)).text, (await made.ask(key)).text]
    expect(seen).toContain('2')
  })

  test('one that nobody is sent to is not started for new variables', async () => {
    const made = await deployed()
    const body = 'return { statusCode: 200, body: process.env.GREETING ?? "none" }'
    const key = await made.add({ files: handler(body), config: { ...LAMBDA, instances: { min: 0 } } })
    await made.ask(key)
    made.variables['GREETING'] = 'new'
    await made.runtime.refresh(key)
    expect(made.runtime.status(key)).toMatchObject({ state: 'idle', instances: 0 })
    expect((await made.ask(key)).text).toBe('new')
  })

  test('a configuration that cannot run leaves the old one serving', async () => {
    const made = await deployed()
    const key = await made.add({ files: handler('return { statusCode: 200, body: "old" }'), config: LAMBDA })
    await made.runtime.start(key)
    const broken = { ...key, config: { ...key.config, options: { handler: 'absent.handler', built: true } } }
    await expect(made.runtime.refresh(broken)).rejects.toThrow(/absent/)
    expect(await made.ask(key)).toEqual({ status: 200, text: 'old' })
  })
})

describe('what a function prints', () => {
  test('is in its log with stream, level, version and request', async () => {
    const made = await deployed()
    const body = 'console.log("to the log"); console.error("and this"); return { statusCode: 200 }'
    const key = await made.add({ files: handler(body), config: LAMBDA })
    await made.ask(key)
    await expect.poll(() => made.logged('hello')).toContainEqual(expect.stringContaining('and this'))
    const records = []
    for await (const record of made.runtime.logs.read({ function: 'hello' })) records.push(record)
    const line = records.find(({ text }) => text.includes('to the log'))
    expect(line).toMatchObject({ function: 'hello', version: 'v1', stream: 'stdout' })
    expect(line?.requestId).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('what an operator sees', () => {
  test('what a version prints is passed on where its configuration says so', async () => {
    const told: OwnRecord[] = []
    const made = await deployed({ log: createLogger((record) => told.push(record)) })
    const shipped = await made.ship({
      files: handler('console.log("out"); return { statusCode: 200 }'),
      config: LAMBDA,
    })
    const { config } = shipped
    made.runtime.add({
      ...shipped,
      config: { ...config, sandbox: { ...config.sandbox, inherit_stdout: true } },
    })
    await made.ask(shipped)
    await expect
      .poll(() => told)
      .toContainEqual(
        expect.objectContaining({
          event: 'function.output',
          fields: { function: 'hello', version: 'v1', stream: 'stdout', text: 'out' },
        }),
      )
  })

  test('requests of a version that cannot be opened are told why, and do not open it again each', async () => {
    const made = await deployed()
    const key = await made.add({
      files: {},
      config: { ...LAMBDA, options: { handler: 'absent.handler', built: true } },
    })
    const answers = []
    for (let number = 0; number < 5; number += 1) answers.push(await made.ask(key))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([500]))
    const said = await made.logged('hello')
    expect(said.filter((text) => text.startsWith('cannot be opened: '))).toHaveLength(1)
    expect(made.runtime.status(key)).toMatchObject({ state: 'crashed', restarts: 0 })
  })
})

describe.skipIf(!hasBwrap)('in a sandbox (needs bubblewrap)', () => {
  test('a function answers, reads what it is made of, and changes neither that nor the machine', async () => {
    const made = await Deployed.open({}, { kind: 'bwrap' })
    open.push(made)
    const body = `
      const { readFileSync, writeFileSync } = await import('node:fs')
      const tried = (task) => { try { task(); return 'done' } catch (error) { return error.code } }
      const here = new URL('.', import.meta.url).pathname
      return { statusCode: 200, body: [
        tried(() => readFileSync(here + 'index.mjs')),
        tried(() => writeFileSync(here + 'new', 'x')),
        tried(() => writeFileSync('/tmp/new', 'x')),
        tried(() => readFileSync('/etc/shadow')),
        tried(() => readFileSync(event.rawPath)),
      ].join() }`
    const key = await made.add({ files: handler(body), config: LAMBDA })
    await made.runtime.start(key)
    // Its neighbours' logs are files of the machine that it does not even see.
    const { status, text } = await made.ask(key, `${made.directory}/logs/hello/00000001.jsonl`)
    expect(status).toBe(200)
    expect(text).toMatch(/^done,(EROFS|EACCES),done,(ENOENT|EACCES),ENOENT$/)
  })

  test('what a program keeps in FLEXI_STATE_DIR is there for the next version, and nothing else is', async () => {
    const made = await Deployed.open({}, { kind: 'bwrap' })
    open.push(made)
    const before = `import { appendFileSync, readFileSync } from 'node:fs'`
    const body = `
      appendFileSync(process.env.FLEXI_STATE_DIR + '/kept', 'x')
      appendFileSync('/tmp/kept', 'x')
      response.end(readFileSync(process.env.FLEXI_STATE_DIR + '/kept', 'utf8') + readFileSync('/tmp/kept', 'utf8'))`
    const files = program(body, before)
    const [one, two] = [
      await made.add({ files, config: PROCESS }),
      await made.add({ version: 'v2', files, config: PROCESS }),
    ]
    expect((await made.ask(one)).text).toBe('xx')
    await made.runtime.stop(one)
    expect((await made.ask(two)).text).toBe('xxx')
  })

  test('a program that listens on a port answers, though it shares no loopback with the machine', async () => {
    const made = await Deployed.open({}, { kind: 'bwrap' })
    open.push(made)
    const config = { ...PROCESS, health: { path: '/' } }
    const key = await made.add({ files: program(`response.end('inside')`), config })
    await made.runtime.start(key)
    expect(await made.ask(key)).toEqual({ status: 200, text: 'inside' })
  })
})

async function withLambda(body: string) {
  const made = await deployed()
  const record = await made.add({ files: handler(body), config: LAMBDA })
  const key = { name: record.name, version: record.version }
  return {
    runtime: made.runtime,
    directory: made.directory,
    record,
    key,
    ask: () => made.ask(key),
    logged: (name: string) => made.logged(name),
  }
}
