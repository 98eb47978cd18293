import { readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import type { AbsolutePath } from '../../../src/core/place.ts'
import { issueAuthority, issueLeaf, newKey } from '../../../src/tls/issue.ts'
import { runtimes, write } from './serve.ts'
import { serveTeam, type Team } from './team.ts'

let team: Team
let databases: readonly Server[]
let secured: TlsServer
const ENVIRONMENT = ['FLEXI_MTLS_CERTIFICATE_CERT', 'FLEXI_MTLS_KEY_CERT', 'NODE_EXTRA_CA_CERTS'] as const
const before = ENVIRONMENT.map((name) => [name, process.env[name]] as const)

beforeAll(async () => {
  databases = await Promise.all([openDatabase('postgres'), openDatabase('mysql')])
  team = await serveTeam(
    'bindings-team',
    ['front', 'store', 'listener', 'pages', 'sited'],
    async (directory) => {
      await write(directory, { 'front/.dev.vars': 'api-key=from .dev.vars\n' })
      await Promise.all([
        connectTo(join(directory, 'front'), databases[0]),
        connectTo(join(directory, 'store'), databases[1]),
        certify(directory),
      ])
    },
  )
}, 60_000)

afterAll(async () => {
  await team?.[Symbol.asyncDispose]()
  for (const server of [...(databases ?? []), secured]) server?.close()
  for (const [name, value] of before)
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
})

/** Answers every piece of text with its own name and that text. */
async function openDatabase(name: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('data', (text) => socket.write(`${name} got ${text.toString()}`))
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

const portOf = (server: Server | TlsServer): number => (server.address() as AddressInfo).port

async function connectTo(folder: string, database: Server | undefined): Promise<void> {
  const file = join(folder, 'wrangler.jsonc')
  const text = await readFile(file, 'utf8')
  if (database !== undefined)
    await writeFile(file, text.replace('127.0.0.1:1/', `127.0.0.1:${portOf(database)}/`))
}

/** A server that tells who its client is by the client's certificate. */
async function certify(directory: AbsolutePath): Promise<void> {
  const key = await newKey()
  const authority = { key, cert: await issueAuthority(key, 'test') }
  const [server, client] = await Promise.all([
    issueLeaf(['localhost', '127.0.0.1'], authority),
    issueLeaf(['client.localhost'], authority),
  ])
  await write(directory, { 'ca.pem': authority.cert, 'client.pem': client.cert, 'client.key': client.key })
  process.env['FLEXI_MTLS_CERTIFICATE_CERT'] = '../client.pem'
  process.env['FLEXI_MTLS_KEY_CERT'] = '../client.key'
  process.env['NODE_EXTRA_CA_CERTS'] = join(directory, 'ca.pem')
  // Issued for servers, which is no matter here: the name is what is asked for.
  secured = createTlsServer(
    { ...server, requestCert: true, rejectUnauthorized: false },
    ({ socket }, answer) => {
      const peer = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined
      answer.end(String(peer))
    },
  )
  await new Promise<void>((resolve) => secured.listen(0, '127.0.0.1', resolve))
}

async function bodyOf(worker: string, path: string, options?: RequestInit): Promise<string> {
  return (await team.ask(worker, path, options)).text()
}

async function json(path: string, options?: RequestInit): Promise<unknown> {
  const answer = await team.ask('front', path, options)
  const body = await answer.text()
  expect(`${answer.status} ${body}`).toMatch(/^200 /)
  return JSON.parse(body)
}

describe('services', () => {
  test('lead to another worker’s handler, and the request is the same', async () => {
    expect(await json('/service')).toBe('store saw http://store/hello?x=1')
  })

  test('lead to its entrypoints, with props, objects and callbacks over RPC', async () => {
    expect(await json('/rpc')).toBe('acme greets Ada')
    expect(await json('/rpc/object')).toEqual([41, 42])
    expect(await json('/rpc/callback')).toBe(4)
    expect(await json('/rpc/error')).toBe('RangeError: not like this')
  })

  test('lead to a worker’s assets first, its own and a neighbour’s, each from its own folder', async () => {
    expect(await json('/self')).toBe('asset of front\n')
    expect(await json('/pages?path=/asset.txt')).toEqual([200, 'asset of pages\n'])
    expect(await json('/asset')).toBe('asset of front\n')
  })

  test('to a worker that is not there reject with the reason, and were named at the start', async () => {
    expect(await json('/nobody')).toContain('it is the worker nobody, which is not part of this project')
    expect(team.lines.map((line) => line.text).join('\n')).toContain(
      'the binding NOBODY is not available here',
    )
  })
})

test('what only the network has rejects with its reason, however deep it is called', async () => {
  expect(await json('/ai')).toContain('the binding AI is not available here')
  expect(await json('/dispatch')).toContain('the binding DISPATCH is not available here')
})

/** Changes a program, which starts its runtime anew. */
async function edit(worker: string): Promise<void> {
  const file = join(team.directory, worker, 'index.ts')
  await writeFile(
    file,
    `${await readFile(file, 'utf8')}\n;(globalThis as any).edited = ${performance.now()}\n`,
  )
  await team.rebuild(worker)
}

describe('Durable Objects of another worker', () => {
  test('keep rows in SQLite over reloads of either worker', async () => {
    await json('/room/add?room=rows&text=first')
    await edit('front')
    await json('/room/add?room=rows&text=second')
    await edit('store')
    expect(await json('/room/list?room=rows')).toEqual(['first', 'second'])
    expect(await json('/room/database?room=rows')).toBeGreaterThan(0)
  }, 30_000)

  test('are woken by their alarms', async () => {
    await json('/room/alarm?room=alarmed&ms=50')
    await expect.poll(() => json('/room/alarms?room=alarmed'), { timeout: 5_000 }).toBe(1)
  })

  test('hold WebSockets that hibernate: attachments, tags, automatic answers and the close arrive', async () => {
    const url = `${team.gateway.url.replace('http', 'ws')}/_flexi/f/front/ws?room=chat`
    const [one, two] = await Promise.all([openSocket(url), openSocket(url)])
    one?.socket.send('ping')
    await expect.poll(() => one?.heard).toEqual(['pong'])
    two?.socket.send('hi')
    await expect.poll(() => one?.heard.slice(1)).toEqual([expect.stringMatching(/^[12]: hi$/)])
    await expect.poll(() => two?.heard).toEqual([expect.stringMatching(/^[12]: hi$/)])
    one?.socket.close(4001, 'done')
    await expect.poll(() => json('/room/list?room=chat'), { timeout: 5_000 }).toEqual(['closed 4001 done'])
    two?.socket.terminate()
  }, 15_000)
})

async function openSocket(url: string): Promise<{ socket: WebSocket; heard: string[] }> {
  const socket = new WebSocket(url)
  const heard: string[] = []
  socket.on('message', (data) => heard.push((data as Buffer).toString()))
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  return { socket, heard }
}

describe('queues', () => {
  const batches = async (queue: string): Promise<string[][]> => {
    const kept = await json(`/kv?key=${queue}`)
    return typeof kept === 'string' ? (JSON.parse(kept) as string[][]) : []
  }

  test('a message goes to the other worker that consumes the queue, in batches of its size', async () => {
    await json('/jobs?bodies=a,b,c')
    await expect
      .poll(async () => (await batches('jobs')).flat().toSorted(), { timeout: 5_000 })
      .toEqual(['a#1', 'b#1', 'c#1'])
    expect(Math.max(...(await batches('jobs')).map((batch) => batch.length))).toBe(2)
    const told = (): string => team.lines.map((line) => line.text).join('\n')
    await expect.poll(told).toMatch(/^queue jobs: 2 done \(\d+ ms\)$/m)
  })

  test('a message that is retried too often goes to the dead letter queue, and a third worker has it', async () => {
    await json('/jobs?bodies=bad')
    await expect.poll(() => json('/kv?key=dead'), { timeout: 5_000 }).toBe('["bad"]')
    expect((await batches('jobs')).flat().filter((body) => body.startsWith('bad'))).toEqual([
      'bad#1',
      'bad#2',
    ])
  })

  test('a producer’s delivery_delay holds a message back', async () => {
    const sent = performance.now()
    await json('/jobs?later&bodies=slow')
    await expect.poll(() => batches('later'), { timeout: 5_000 }).toEqual([['slow#1']])
    expect(performance.now() - sent).toBeGreaterThan(950)
  })
})

test('messages of a queue without a consumer wait for one', async () => {
  const file = join(team.directory, 'store/wrangler.jsonc')
  const consuming = await readFile(file, 'utf8')
  await writeFile(file, consuming.replace('"queue": "jobs"', '"queue": "unused"'))
  await team.rebuild('store')
  expect(team.lines.map((line) => line.text)).toContain(
    'no worker here consumes the queue jobs: its messages wait',
  )
  await json('/jobs?bodies=early')
  expect(await json('/jobs/waiting')).toBe(1)
  await writeFile(file, consuming)
  await team.rebuild('store')
  await expect.poll(async () => String(await json('/kv?key=jobs')), { timeout: 8_000 }).toMatch(/early#1/)
  await expect.poll(() => json('/jobs/waiting')).toBe(0)
}, 30_000)

test('messages that wait and alarms that are set survive a new runtime', async () => {
  await json('/jobs?later&bodies=kept,too')
  await json('/room/alarm?room=sleeper&ms=900')
  await edit('store')
  await expect
    .poll(async () => String(await json('/kv?key=later')), { timeout: 8_000 })
    .toMatch(/kept#1.*too#1/)
  await expect.poll(() => json('/room/alarms?room=sleeper'), { timeout: 5_000 }).toBe(1)
  const seen = (): Promise<unknown> => json('/kv?key=later')
  const known = await seen()
  await edit('store')
  await json('/jobs?bodies=after')
  await expect.poll(async () => String(await json('/kv?key=jobs')), { timeout: 5_000 }).toMatch(/after#1/)
  expect(await seen()).toBe(known)
}, 30_000)

test('a message that was accepted is delivered after a crash of the runtime', async () => {
  await json('/jobs?later&bodies=crashed')
  for (const pid of runtimes()) process.kill(pid, 'SIGKILL')
  await expect
    .poll(async () => (await team.ask('front', '/kv?key=later')).text(), { timeout: 12_000 })
    .toMatch(/crashed#1/)
}, 30_000)

test('a workflow of another worker runs its steps, sleeps, and tells its status', async () => {
  expect(await json('/flow?id=one')).toBe('one')
  await expect
    .poll(() => json('/flow/status?id=one'), { timeout: 10_000 })
    .toMatchObject({ status: 'complete', output: 42 })
}, 15_000)

test('a workflow that sleeps goes on in the next runtime', async () => {
  await json('/flow?id=sleeper&ms=1000')
  await edit('store')
  await expect
    .poll(() => json('/flow/status?id=sleeper'), { timeout: 10_000 })
    .toMatchObject({ status: 'complete', output: 42 })
}, 20_000)

test('a tail worker hears what was logged, where, and how it ended', async () => {
  await json('/log')
  await expect
    .poll(() => json('/kv?key=tailed'), { timeout: 5_000 })
    .toBe(JSON.stringify(['ok', ['for the listener'], '/log']))
})

test('a streaming tail worker hears each event while it happens', async () => {
  await json('/service')
  await expect
    .poll(() => json('/kv?key=streamed'), { timeout: 5_000 })
    .toBe(JSON.stringify(['onset', 'outcome', 'ok']))
})

describe('Hyperdrive', () => {
  test('bytes flow to and from a database of this machine', async () => {
    expect(await json('/db')).toEqual(['user', 'nowhere', 'postgres got from front'])
  })

  test('a binding of the same name in two workers leads to two databases', async () => {
    expect(JSON.parse(await bodyOf('store', '/db'))).toEqual(['root', 'other', 'mysql got from store'])
  })

  test('a database that is down fails the connection, and nothing else', async () => {
    expect(await json('/db/down?name=DOWN')).toBe('not connected')
    expect(await json('/db/down?name=SECURE')).toContain('does not support SSL')
    expect(await json('/db')).toEqual(['user', 'nowhere', 'postgres got from front'])
  })
})

describe('mail', () => {
  test('is kept as a file that the terminal names', async () => {
    await json('/mail')
    await json('/mail/builder')
    const told = (): string[] =>
      team.lines.map((line) => line.text).filter((line) => line.includes('MAIL') || line.includes('mail'))
    await expect.poll(() => told().join('\n')).toMatch(/\.eml/)
    await expect.poll(() => told().join('\n')).toMatch(/\.txt/)
    const path = /(\/\S+\.eml)/.exec(told().join('\n'))?.[1] ?? ''
    expect(path.startsWith(join(team.directory, '.flexi'))).toBe(true)
    expect(await readFile(path, 'utf8')).toContain('Subject: hi')
  })

  test('to an address that the binding does not allow is refused, by this worker’s rules and no other’s', async () => {
    expect(await json('/mail/forbidden')).toBe('email to else@example.com not allowed')
  })
})

test('a secret of a store has the value of .dev.vars; one without a value rejects', async () => {
  expect(await json('/secret')).toBe('from .dev.vars')
  expect(await json('/secret/empty')).toBe('Secret "empty" not found')
})

test('images are measured and changed', async () => {
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAEElEQVR4nGP4z8AARwzEcQCukw/x0F8jngAAAABJRU5ErkJggg==',
    'base64',
  )
  expect(await json('/images', { method: 'POST', body: png })).toEqual({
    width: 4,
    height: 4,
    format: 'image/png',
    small: [2, 2],
  })
})

test('Stream, Pipelines, hello world and Worker Loader are there', async () => {
  expect(await json('/stream')).toEqual(['string', 1])
  expect(await json('/pipeline')).toBe(null)
  expect(await json('/hello')).toBe('world')
  expect(await json('/loader')).toBe('loaded')
})

test('a request through an mTLS binding shows the certificate of the files', async () => {
  const url = `https://localhost:${portOf(secured)}/`
  expect(await json(`/cert?url=${encodeURIComponent(url)}`)).toBe('client.localhost')
})

describe('assets', () => {
  test('run_worker_first: its rules decide who answers', async () => {
    expect(await json('/api/hit')).toBe('worker first')
    expect(await bodyOf('front', '/api/docs')).toBe('docs of front\n')
    const asset = await team.ask('front', '/asset.txt', { headers: { 'sec-fetch-mode': 'navigate' } })
    expect(await asset.text()).toBe('asset of front\n')
    expect([...asset.headers.keys()].filter((name) => name.startsWith('x-mf'))).toEqual([])
  })

  test('a worker of assets alone: pages, its 404 page, trailing slashes, ignored files', async () => {
    const manual = { redirect: 'manual' } as const
    expect(await bodyOf('pages', '/')).toBe('<h1>home of pages</h1>\n')
    const moved = await team.ask('pages', '/about', manual)
    expect([moved.status, moved.headers.get('location')]).toEqual([307, '/about/'])
    const none = await team.ask('pages', '/nothing')
    expect([none.status, await none.text()]).toEqual([404, '<h1>none</h1>\n'])
    expect((await team.ask('pages', '/secret.txt')).status).toBe(404)
    expect((await team.ask('pages', '/docs/a.map')).status).toBe(404)
  })

  test('_headers and _redirects of the folder are followed', async () => {
    const asset = await team.ask('pages', '/asset.txt')
    expect(asset.headers.get('x-from')).toBe('headers')
    const old = await team.ask('pages', '/old/x', { redirect: 'manual' })
    expect([old.status, old.headers.get('location')]).toEqual([301, '/docs/'])
    expect(await bodyOf('pages', '/rewrite')).toBe('<h1>about</h1>\n')
  })

  test('a change of an asset shows at once, and the running worker is not started anew: its WebSockets stay', async () => {
    const { socket, heard } = await openSocket(
      `${team.gateway.url.replace('http', 'ws')}/_flexi/f/front/ws?room=calm`,
    )
    const file = join(team.directory, 'front/public/asset.txt')
    const other = join(team.directory, 'front/public/new file.txt')
    await write(team.directory, {
      'front/public/asset.txt': 'changed\n',
      'front/public/new file.txt': 'new\n',
    })
    await team.rebuild('front')
    expect(await bodyOf('front', '/asset.txt')).toBe('changed\n')
    expect(await bodyOf('front', '/new%20file.txt')).toBe('new\n')
    expect(await json('/asset')).toBe('changed\n')
    await write(team.directory, { 'front/public/_headers': '/asset.txt\n  X-Live: yes\n' })
    await rm(other)
    await team.rebuild('front')
    expect((await team.ask('front', '/asset.txt')).headers.get('x-live')).toBe('yes')
    expect((await team.ask('front', '/new%20file.txt')).status).toBe(404)
    await writeFile(file, 'asset of front\n')
    socket.send('ping')
    await expect.poll(() => heard).toEqual(['pong'])
    socket.terminate()
  })

  test('Workers Sites are served by the program, without what is left out', async () => {
    expect(await bodyOf('sited', '/')).toBe('<h1>site</h1>\n')
    expect((await team.ask('sited', '/a.secret')).status).toBe(404)
  })
})
