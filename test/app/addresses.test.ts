import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { startApp, type App, type AppOptions } from '../../src/app.ts'
import { announceServer, runningServer } from '../../src/app/running.ts'
import type { DevEvent } from '../../src/core/events.ts'
import type { AbsolutePath } from '../../src/core/place.ts'
import { temporaryFolder } from './flexi-process.ts'

let folder: { path: string } & AsyncDisposable
let events: DevEvent[]

beforeEach(async () => {
  folder = await temporaryFolder()
  events = []
})
afterEach(async () => folder[Symbol.asyncDispose]())

/** Answers which of two it is: the cheapest function there is to start is a Lambda. */
async function lay(functions: Readonly<Record<string, object>>): Promise<void> {
  for (const name of Object.keys(functions))
    await writeFile(join(folder.path, `${name}.mjs`), `export const handler = async () => '${name}'\n`)
  const entries = Object.entries(functions).map(([name, options]) => [
    name,
    { provider: 'lambda', handler: `${name}.handler`, runtime: 'nodejs20.x', ...options },
  ])
  await writeFile(
    join(folder.path, 'flexi.jsonc'),
    JSON.stringify({ functions: Object.fromEntries(entries) as unknown }),
  )
}

function start(options: Partial<AppOptions> = {}): Promise<App> {
  return startApp({
    directory: folder.path as AbsolutePath,
    mode: 'dev',
    port: 0,
    host: '127.0.0.1',
    portIsFixed: true,
    environment: {},
    watch: false,
    startedAt: 0,
    onEvent: (event) => events.push(event),
    ...options,
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** `host` as a client behind its own name server would send it. */
function askAs(url: string, host: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}${path}`, { headers: { host } }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      incoming.on('end', () => resolve(`${incoming.statusCode} ${text}`))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

describe('a port of its own', () => {
  test('serves the function alone, and follows the configuration', async () => {
    const [first, second] = [await freePort(), await freePort()]
    await lay({ one: { port: first }, two: {} })
    await using app = await start()
    expect(await (await fetch(`http://127.0.0.1:${first}/any/path`)).text()).toBe('one')
    expect(app.functions.map(({ name, port }) => [name, port])).toEqual([
      ['one', first],
      ['two', undefined],
    ])
    await lay({ one: {}, two: { port: second } })
    await app.restart()
    await expect.poll(async () => (await fetch(`http://127.0.0.1:${second}/`)).text()).toBe('two')
    await expect(fetch(`http://127.0.0.1:${first}/`)).rejects.toThrow('fetch failed')
  })

  test('that is taken is a warning: everything else is served', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    await lay({ one: { port } })
    await using app = await start()
    expect(await (await fetch(`${app.url}/`)).text()).toBe('one')
    expect(app.functions).toEqual([expect.not.objectContaining({ port })])
    expect(events).toContainEqual(
      expect.objectContaining({
        event: 'warning',
        message: expect.stringContaining(`one cannot have its port ${port}`) as unknown,
      }),
    )
    await new Promise((resolve) => taken.close(resolve))
  })

  test('cannot be wanted by two functions', async () => {
    await lay({ one: { port: 4000 }, two: { port: 4000 } })
    await expect(start()).rejects.toMatchObject({
      faults: [expect.objectContaining({ message: 'two and one both want port 4000' })],
    })
  })
})

describe('routes of a wrangler file', () => {
  const worker = async (name: string, settings: object): Promise<void> => {
    await writeFile(
      join(folder.path, `${name}.jsonc`),
      JSON.stringify(
        { name, main: `${name}.js`, compatibility_date: '2026-01-01', ...settings },
        undefined,
        2,
      ),
    )
    await writeFile(
      join(folder.path, `${name}.js`),
      `export default { fetch: () => new Response('${name}') }\n`,
    )
  }
  const declare = async (...names: readonly string[]): Promise<void> => {
    const entries = names.map((name) => [name, { provider: 'workers', config: `${name}.jsonc` }])
    await writeFile(
      join(folder.path, 'flexi.jsonc'),
      JSON.stringify({ functions: Object.fromEntries(entries) as unknown }),
    )
  }

  test('lead by host and path, the most specific first, as they do at Cloudflare', async () => {
    await worker('site', { route: 'example.com/*' })
    await worker('api', {
      routes: ['example.com/api/*', { pattern: 'api.example.com', custom_domain: true }, '*.shop.test/exact'],
    })
    await declare('site', 'api')
    await using app = await start()
    const answers = await Promise.all(
      [
        ['example.com', '/'],
        ['example.com', '/api/x?y'],
        ['EXAMPLE.com:80', '/api'],
        ['api.example.com', '/anything'],
        ['a.shop.test', '/exact'],
        ['a.shop.test', '/exact/not'],
        ['shop.test', '/exact'],
        ['other.test', '/'],
      ].map(async ([host = '', path = '']) => (await askAs(app.url, host, path)).slice(0, 8)),
    )
    expect(answers).toEqual([
      '200 site',
      '200 api',
      '200 site',
      '200 api',
      '200 api',
      '404 {"ty',
      '404 {"ty',
      '404 {"ty',
    ])
  })

  test('of a single worker leave it at the root as well: nobody has to send a Host field', async () => {
    await worker('site', { route: 'example.com/only/*' })
    await declare('site')
    await using app = await start()
    expect(await (await fetch(`${app.url}/elsewhere`)).text()).toBe('site')
  })

  test.each([
    ['exa*mple.com/*', 'has "*" inside its host, where it may only come first'],
    ['example.com/*/x', 'has "*" inside its path, where it may only come last'],
    ['example.com/?a=*', 'has a query, which routes cannot have'],
    ['/api/*', 'names no host'],
  ])('that Cloudflare would refuse are faults of the file: %s', async (pattern, reason) => {
    await worker('site', { routes: [pattern] })
    await declare('site')
    await expect(start()).rejects.toMatchObject({
      faults: [
        expect.objectContaining({
          message: `the route "${pattern}" ${reason}`,
          place: expect.objectContaining({ line: 6 }) as unknown,
        }),
      ],
    })
  })

  test('dev.port is a port of its own', async () => {
    const port = await freePort()
    await worker('site', { dev: { port } })
    await declare('site')
    await using _app = await start()
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('site')
  })
})

describe('the note of a running server', () => {
  test('says where flexi’s own paths begin, for as long as it runs', async () => {
    await lay({ one: {} })
    const directory = folder.path as AbsolutePath
    const app = await start()
    expect(await runningServer(directory)).toEqual({ pid: process.pid, control: `${app.url}/_flexi` })
    await app[Symbol.asyncDispose]()
    expect(await runningServer(directory)).toBeUndefined()
  })

  test('is nothing that a repository would take up, also where no function keeps anything', async () => {
    await writeFile(join(folder.path, 'proxy.ini'), '/ = ./\n')
    await using _app = await start()
    expect(await readFile(join(folder.path, '.flexi/.gitignore'), 'utf8')).toBe('*\n')
  })

  test('of a server that was killed counts no more, and goes', async () => {
    const directory = folder.path as AbsolutePath
    await using _note = await announceServer(directory, 'http://127.0.0.1:1/_flexi')
    const notes = join(directory, '.flexi/run')
    // The highest process id of Linux is 2^22.
    await writeFile(join(notes, '4194305.json'), '{"pid":4194305,"control":"http://127.0.0.1:2/_flexi"}')
    await writeFile(join(notes, '7.json'), 'half a no')
    expect((await runningServer(directory))?.control).toBe('http://127.0.0.1:1/_flexi')
    expect(await readdir(notes)).toEqual([`${process.pid}.json`])
  })
})

test('a second server on the stored data of Workers says whom it shares it with', async () => {
  const notes = join(folder.path, '.flexi/run')
  await mkdir(notes, { recursive: true })
  // Somebody who is there as long as this test: the parent of this process.
  const other = { pid: process.ppid, control: 'http://127.0.0.1:1/_flexi' }
  await writeFile(join(notes, `${process.ppid}.json`), JSON.stringify(other))
  await writeFile(
    join(folder.path, 'wrangler.jsonc'),
    '{ "name": "edge", "main": "edge.js", "compatibility_date": "2026-01-01" }',
  )
  await writeFile(join(folder.path, 'edge.js'), `export default { fetch: () => new Response('edge') }`)
  await using _app = await start()
  const warnings = events.flatMap((event) => (event.event === 'warning' ? [event.message] : []))
  expect(warnings).toEqual([
    expect.stringContaining(
      `another flexi serves this folder at http://127.0.0.1:1 (process ${process.ppid})`,
    ),
  ])
})

describe('a wrangler file that is named', () => {
  test('counts in place of flexi.jsonc and of the one in the folder, with the environment that was chosen', async () => {
    const settings = {
      name: 'site',
      main: 'site.js',
      compatibility_date: '2026-01-01',
      vars: { STAGE: 'none' },
    }
    await writeFile(join(folder.path, 'wrangler.jsonc'), '{ "name": "not this one" }')
    await writeFile(join(folder.path, 'flexi.jsonc'), '{ "functions": { "nor": { "provider": "lambda" } } }')
    await writeFile(
      join(folder.path, 'wrangler.other.jsonc'),
      JSON.stringify({ ...settings, env: { staging: { vars: { STAGE: 'staging' } } } }),
    )
    await writeFile(
      join(folder.path, 'site.js'),
      'export default { fetch: (_request, env) => new Response(env.STAGE) }\n',
    )
    await using app = await start({
      configFile: join(folder.path, 'wrangler.other.jsonc') as AbsolutePath,
      environment: { CLOUDFLARE_ENV: 'staging' },
    })
    expect(app.functions.map(({ name }) => name)).toEqual(['site-staging'])
    expect(await (await fetch(app.url)).text()).toBe('staging')
  })
})
