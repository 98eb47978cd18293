import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { LiveProject } from '../../src/app/live-project.ts'
import { openProviderApis, type ProviderApis } from '../../src/app/provider-apis.ts'
import { readProject } from '../../src/config/project.ts'
import type { ApiHost, FunctionConfig, Limiter, OpenApi, ProviderApi } from '../../src/core/function.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { emulators } from '../../src/emulators/registry.ts'
import { openGateway, type Gateway } from '../../src/gateway/gateway.ts'

let directory: AbsolutePath
let live: LiveProject
let apis: ProviderApis
let gateway: Gateway
let host: ApiHost
/** What the API was told. */
const told: string[] = []

beforeEach(async () => {
  told.length = 0
  directory = (await mkdtemp(join(tmpdir(), 'flexi-test-'))) as AbsolutePath
  await writeHandler('hello.mjs', 'file')
  await writeFunctions({ hello: { handler: 'hello.handler' } })
  const read = () => readProject({ directory, emulators, environment: {} })
  live = await LiveProject.open(await read(), {
    directory,
    mode: 'dev',
    threads: 1,
    preallocationKb: 8,
    controlPrefix: '/_flexi',
    log: silentLogger,
    readAt: Date.now(),
    origin: () => gateway.url,
    read,
    onEvent: () => undefined,
  })
  const api: ProviderApi = {
    mount: 'aws',
    wanted: () => Promise.resolve(true),
    open(opened) {
      host = opened
      told.push('open')
      return Promise.resolve({
        handle: () => Promise.resolve(),
        changed: () => void told.push('changed'),
        [Symbol.asyncDispose]: async () => void told.push('end'),
      })
    },
  }
  apis = openProviderApis({
    emulators: { lambda: { ...emulators.lambda, api } },
    live,
    mode: 'dev',
    directory,
    log: silentLogger,
    control: () => `${gateway.url}/_flexi`,
  })
  gateway = await openGateway({
    host: '127.0.0.1',
    port: 0,
    portFallback: false,
    mode: 'dev',
    directory,
    controlPrefix: '/_flexi',
    mounts: apis.mounts,
    table: await live.bind(),
    log: silentLogger,
    onAccess: () => undefined,
  })
  live.attach(gateway)
  await live.start()
  await apis.start()
})
afterEach(async () => {
  await gateway[Symbol.asyncDispose]()
  await apis[Symbol.asyncDispose]()
  await live[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

async function writeHandler(file: string, text: string): Promise<void> {
  await writeFile(join(directory, file), `export const handler = async () => '${text}'\n`)
}

async function writeFunctions(functions: Record<string, object>): Promise<void> {
  const provided = Object.entries(functions).map(([name, options]) => [
    name,
    { provider: 'lambda', ...options },
  ])
  await writeFile(
    join(directory, 'flexi.jsonc'),
    JSON.stringify({ functions: Object.fromEntries(provided) as object }),
  )
}

function config(name: string, handler: string): FunctionConfig {
  const origin = { file: 'api', line: 1, column: 1 }
  return { name, provider: 'lambda', directory, origin, environment: {}, options: { handler } }
}

/** Nobody looks into it. */
const exchange = [{}, {}, {}] as unknown as Parameters<OpenApi['handle']>

async function ask(path: string): Promise<string> {
  const response = await fetch(`${gateway.url}${path}`)
  return `${response.status} ${await response.text()}`
}

async function invoked(name: string): Promise<string | undefined> {
  const signal = new AbortController().signal
  const context = { id: crypto.randomUUID(), deadline: Date.now() + 10_000, signal }
  const result = await host.find(name)?.invoke(Buffer.from('{}'), context)
  return result === undefined ? undefined : Buffer.from(result.payload).toString()
}

test('an API that has something to do is opened at the start, and hears of every other set of functions', async () => {
  expect(told).toEqual(['open'])
  await live.restart()
  expect(told).toEqual(['open', 'changed'])
})

test('serves a function that no file names, by its own address and by invocation, until it is removed', async () => {
  await writeHandler('made.mjs', 'made')
  await host.put(config('made', 'made.handler'))
  expect(await ask('/_flexi/f/made/')).toBe('200 made')
  expect(await invoked('made')).toBe('"made"')
  expect(host.functions().map((one) => one.config.name)).toEqual(['hello', 'made'])
  expect(host.find('made')?.declared).toBe(false)
  await host.remove('made')
  expect(host.find('made')).toBeUndefined()
  expect(await ask('/_flexi/f/made/')).toContain('404')
})

test('a name with a colon is served and not listed', async () => {
  await host.put(config('hello:3', 'hello.handler'))
  expect(await invoked('hello:3')).toBe('"file"')
  expect(live.functions(gateway.url).map(({ name }) => name)).toEqual(['hello'])
})

test('puts another configuration over the file’s, which counts again once it says something else', async () => {
  await writeHandler('other.mjs', 'api')
  await host.put(config('hello', 'other.handler'))
  expect(await invoked('hello')).toBe('"api"')
  await live.restart()
  expect(await invoked('hello')).toBe('"api"')
  await writeFunctions({ hello: { handler: 'hello.handler', timeout: 7 } })
  await live.restart()
  expect(await invoked('hello')).toBe('"file"')
  expect(host.find('hello')?.declared).toBe(true)
})

test('taking away what lies over a file’s function leaves what the file says', async () => {
  await writeHandler('other.mjs', 'api')
  await host.put(config('hello', 'other.handler'))
  await host.remove('hello')
  expect(await invoked('hello')).toBe('"file"')
})

test('a configuration that cannot be changes nothing', async () => {
  const wrong = { ...config('wrong', 'x.handler'), options: { handler: 'x.handler', colour: 'red' } }
  await expect(host.put(wrong)).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
  await expect(host.put({ ...wrong, name: 'hello' })).rejects.toMatchObject({ code: 'FLEXI_CONFIG' })
  expect(host.functions().map((one) => one.config.name)).toEqual(['hello'])
  expect(await invoked('hello')).toBe('"file"')
  await live.restart()
  expect(await invoked('hello')).toBe('"file"')
})

test('of two that are put at once, the one that cannot be does not cost the other', async () => {
  await writeHandler('made.mjs', 'made')
  const wrong = { ...config('wrong', 'x.handler'), options: { handler: 'x.handler', colour: 'red' } }
  const [made, refused] = await Promise.allSettled([
    host.put(config('made', 'made.handler')),
    host.put(wrong),
  ])
  expect(made.status).toBe('fulfilled')
  expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'FLEXI_CONFIG' } })
  expect(host.functions().map((one) => one.config.name)).toEqual(['hello', 'made'])
})

test('what lies over a function goes with it, because its file no longer names it', async () => {
  await writeHandler('other.mjs', 'api')
  await host.put(config('hello', 'other.handler'))
  await writeFunctions({ other: { handler: 'other.handler' } })
  await live.restart()
  expect(host.functions().map((one) => one.config.name)).toEqual(['other'])
})

test('what the file says cannot be built: what lies over the old stays, also when something else is put', async () => {
  await writeHandler('other.mjs', 'api')
  await host.put(config('hello', 'other.handler'))
  await writeFunctions({ hello: { handler: 'gone.handler' } })
  await live.restart()
  await host.put(config('more', 'other.handler'))
  expect(await invoked('hello')).toBe('"api"')
  expect(host.find('hello')?.declared).toBe(false)
})

test('what is put while a newer configuration comes is put over that, also when it is at fault', async () => {
  await live.watch({ configuration: true })
  await writeHandler('made.mjs', 'made')
  const puts = Promise.all(['a', 'b', 'c'].map((name) => host.put(config(name, 'made.handler'))))
  await writeFile(join(directory, 'flexi.jsonc'), '{ "functions": ')
  await puts
  expect(
    host
      .functions()
      .map((one) => one.config.name)
      .toSorted(),
  ).toEqual(['a', 'b', 'c', 'hello'])
})

test('routes that cannot be bound change nothing: what is gone is still there, and what came has ended', async () => {
  live.attach({
    swap() {
      throw new Error('no such route')
    },
  })
  await expect(host.put(config('made', 'hello.handler'))).rejects.toThrow('no such route')
  await writeFunctions({ other: { handler: 'hello.handler' } })
  await live.restart()
  expect([...live.served.keys()]).toEqual(['hello'])
  live.attach(gateway)
  expect(await invoked('hello')).toBe('"file"')
  await live.restart()
  expect([...live.served.keys()]).toEqual(['other'])
})

test('nothing is put once the application ends: nobody would end it', async () => {
  const ended = live[Symbol.asyncDispose]()
  await expect(host.put(config('late', 'hello.handler'))).rejects.toMatchObject({
    code: 'FLEXI_SHUTTING_DOWN',
  })
  await expect(host.remove('hello')).rejects.toMatchObject({ code: 'FLEXI_SHUTTING_DOWN' })
  await live.restart()
  await ended
  expect([...live.served.keys()]).toEqual(['hello'])
})

test('what a limiter does not let in is refused at once, over HTTP as the provider refuses', async () => {
  let room = 1
  const limiter: Limiter = {
    enter: () => room > 0 && room-- > 0,
    leave: () => void (room += 1),
  }
  host.find('hello')?.limit(limiter)
  expect(await invoked('hello')).toBe('"file"')
  expect(room).toBe(1)
  room = 0
  await expect(invoked('hello')).rejects.toMatchObject({ code: 'FLEXI_THROTTLED' })
  expect(await ask('/_flexi/f/hello/')).toMatch(/^429 /)
  host.find('hello')?.limit(undefined)
  expect(await ask('/_flexi/f/hello/')).toBe('200 file')
})

test('an address may be answered by something else than a function', async () => {
  host.address('hello:live', {
    handle(_incoming, outgoing) {
      outgoing.end('alias')
      return Promise.resolve()
    },
  })
  await expect.poll(() => ask('/_flexi/f/hello:live/')).toBe('200 alias')
  host.address('hello:live', undefined)
  await expect.poll(() => ask('/_flexi/f/hello:live/')).toContain('404')
})

test('writes what a deployment would ship of the code in force', async () => {
  const target = join(directory, 'out') as AbsolutePath
  await mkdir(target)
  const files = await host.find('hello')?.package(target)
  expect(files?.map(({ path }) => path).toSorted()).toEqual(['hello.mjs', 'hello.mjs.map'])
})

describe('an API', () => {
  const mountless = { log: silentLogger, control: () => 'http://127.0.0.1:1/_flexi', mode: 'dev' } as const
  const opened = (api: Pick<ProviderApi, 'open' | 'wanted'>): ProviderApis =>
    openProviderApis({
      emulators: { lambda: { ...emulators.lambda, api: { mount: 'aws', ...api } } },
      live,
      directory,
      ...mountless,
    })

  test('that is asked whether it has something to do while the application ends is not opened', async () => {
    let answer = (_wanted: boolean): void => undefined
    const open = vi.fn<ProviderApi['open']>()
    const ending = opened({ wanted: () => new Promise((resolve) => (answer = resolve)), open })
    const starting = ending.start()
    await ending[Symbol.asyncDispose]()
    answer(true)
    await starting
    expect(open).not.toHaveBeenCalled()
  })

  test('that could not be opened is opened by the next request', async () => {
    const handle = vi.fn<OpenApi['handle']>().mockResolvedValue()
    const open = vi
      .fn<ProviderApi['open']>()
      .mockRejectedValueOnce(new Error('the disk is full'))
      .mockResolvedValueOnce({ handle, [Symbol.asyncDispose]: () => Promise.resolve() })
    await using broken = opened({ open })
    const asked = (): Promise<void> | undefined => broken.mounts.get('aws')?.handle(...exchange)
    await expect(asked()).rejects.toThrow('the disk is full')
    await asked()
    expect(handle).toHaveBeenCalledOnce()
  })

  test('hears of what comes into force while it is opened', async () => {
    let finish = (): void => undefined
    const changed = vi.fn<() => void>()
    await using slow = opened({
      wanted: () => Promise.resolve(true),
      async open() {
        await new Promise<void>((resolve) => (finish = resolve))
        return { changed, handle: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() }
      },
    })
    const starting = slow.start()
    await live.restart()
    finish()
    await starting
    await expect.poll(() => changed.mock.calls.length).toBe(1)
  })
})
