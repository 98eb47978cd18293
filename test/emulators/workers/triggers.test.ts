import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { RequestContext } from '../../../src/core/fetcher.ts'
import type { OutputLine } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { openControl, type ControlClient } from '../../../src/emulators/workers/control/client.ts'
import { controlWorker, NO_RESOURCES } from '../../../src/emulators/workers/control/worker.ts'
import { handleTrigger } from '../../../src/emulators/workers/events/front-paths.ts'
import { isTriggerPath } from '../../../src/emulators/workers/events/trigger-path.ts'
import { queueMessages, trigger } from '../../../src/emulators/workers/events/trigger.ts'
import { loadMiniflare, type Miniflare } from '../../../src/emulators/workers/miniflare.ts'
import { findWorkerd } from '../../../src/emulators/workers/workerd.ts'

const TOKEN = 'token-of-this-test'

/** What ran is kept in the worker itself: `/seen` tells it. */
const PROGRAM = `
import { EmailMessage } from 'cloudflare:email'
const seen = []
export default {
  async fetch() {
    return Response.json(seen.splice(0))
  },
  async scheduled(event, env, ctx) {
    seen.push({ cron: event.cron, time: event.scheduledTime })
    if (event.cron === 'throws') throw new Error('bad cron')
    if (event.cron === 'gives up') { event.noRetry(); throw new Error('no more') }
    ctx.waitUntil(scheduler.wait(50).then(() => seen.push('waited')))
  },
  async queue(batch) {
    seen.push({ queue: batch.queue, messages: batch.messages.map(({ id, attempts, body, timestamp }) => ({
      id, attempts, body: body instanceof Uint8Array ? [...body] : body, time: timestamp.getTime() })) })
    if (batch.queue === 'throws') throw new Error('bad batch')
    if (batch.queue === 'all') return batch.retryAll({ delaySeconds: 9 })
    batch.messages[0].ack()
    batch.messages[1]?.retry({ delaySeconds: 3 })
  },
  async email(message, env, ctx) {
    const raw = await new Response(message.raw).text()
    seen.push({ from: message.from, to: message.to, size: message.rawSize, raw, fields: [...message.headers] })
    if (message.to === 'throws@x') throw new TypeError('bad mail')
    if (message.to === 'rejects@x') message.setReject('no thanks')
    if (message.to === 'forwards@x') await message.forward('next@x', new Headers({ 'X-Why': 'test' }))
    if (message.to.startsWith('replies')) {
      const answered = message.to === 'replies-wrong@x' ? '<other@x>' : message.headers.get('message-id')
      const text = 'From: ' + message.to + '\\r\\nMessage-ID: <2@x>\\r\\nIn-Reply-To: ' + answered + '\\r\\n\\r\\nthanks\\r\\n'
      await message.reply(new EmailMessage(message.to, message.from, text))
    }
  },
}`

let miniflare: Miniflare
let control: ControlClient
let server: Server
let stateDirectory: AbsolutePath
const lines: OutputLine[] = []

beforeAll(async () => {
  stateDirectory = (await mkdtemp(join(tmpdir(), 'flexi-triggers-'))) as AbsolutePath
  const before = process.env['MINIFLARE_WORKERD_PATH']
  process.env['MINIFLARE_WORKERD_PATH'] = findWorkerd().path
  const { Miniflare: Runner, Log, LogLevel } = loadMiniflare()
  miniflare = new Runner({
    host: '127.0.0.1',
    port: 0,
    cf: {},
    log: new Log(LogLevel.INFO - 3),
    logRequests: false,
    structuredWorkerdLogs: true,
    defaultPersistRoot: stateDirectory,
    handleRuntimeStdio: (stdout, stderr) => void [stdout.resume(), stderr.resume()],
    workers: [
      {
        name: 'edge',
        modules: [{ type: 'ESModule', path: '/edge.mjs', contents: PROGRAM }],
        modulesRoot: '/',
        compatibilityDate: '2026-01-01',
        unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      },
      {
        name: 'bare',
        modules: [
          {
            type: 'ESModule',
            path: '/bare.mjs',
            contents: 'export default { fetch() { return new Response() } }',
          },
        ],
        modulesRoot: '/',
        compatibilityDate: '2026-01-01',
      },
      controlWorker({ ...NO_RESOURCES, workers: ['edge', 'bare'] }, TOKEN),
    ],
  })
  await miniflare.ready
  if (before === undefined) delete process.env['MINIFLARE_WORKERD_PATH']
  else process.env['MINIFLARE_WORKERD_PATH'] = before
  control = openControl({ origin: await miniflare.unsafeGetDirectURL('flexi-control', 'Control') }, TOKEN)
  server = createServer((incoming, outgoing) => {
    // What the front paths read of a context is the target alone.
    const context = { raw: { target: incoming.url ?? '' } } as RequestContext
    const scope = { output: (line: OutputLine) => void lines.push(line), stateDirectory }
    const worker = incoming.headers['x-worker'] === 'bare' ? 'bare' : 'edge'
    const config = {
      route: undefined,
      routes: ['*.shop.test/*', { pattern: 'api.test', custom_domain: true }],
    }
    handleTrigger(control, { worker, config, scope, incoming, outgoing, context }).catch((error: unknown) => {
      outgoing.statusCode = 599
      outgoing.end(String(error))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
}, 20_000)
beforeEach(() => {
  lines.length = 0
})
afterAll(async () => {
  control?.close()
  server?.close()
  await miniflare?.dispose()
  await rm(stateDirectory, { recursive: true, force: true })
})

async function seen(): Promise<unknown[]> {
  const response = await fetch(await miniflare.unsafeGetDirectURL('edge'))
  return (await response.json()) as unknown[]
}

interface Asked {
  readonly body?: string
  readonly headers?: Record<string, string>
}

function ask(path: string, { body, headers = {} }: Asked = {}): Promise<{ status: number; text: string }> {
  const { port } = server.address() as AddressInfo
  const method = body === undefined ? 'GET' : 'POST'
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

const MAIL =
  'From: Ada <ada@x>\r\nTo: Bob <bob@x>\r\nMessage-ID: <1@x>\r\nSubject: a long\r\n one\r\n\r\nhello\r\n'

describe('scheduled', () => {
  test('runs with its cron and its time, and ends when what it waits for has ended', async () => {
    const result = await trigger(control, 'edge', {
      kind: 'scheduled',
      cron: '0 7 * * *',
      scheduledTime: 60_000,
    })
    expect(result).toEqual({ outcome: 'ok', noRetry: false })
    expect(await seen()).toEqual([{ cron: '0 7 * * *', time: 60_000 }, 'waited'])
  })

  test('a throw is an outcome, and so is that it wants no second try', async () => {
    const run = (cron: string) => trigger(control, 'edge', { kind: 'scheduled', cron, scheduledTime: 0 })
    expect(await run('throws')).toMatchObject({ outcome: 'exception', noRetry: false })
    expect(await run('gives up')).toMatchObject({ outcome: 'exception', noRetry: true })
    expect(await seen()).toHaveLength(2)
  })

  test('a worker without the handler ends in an exception, as in the cloud', async () => {
    expect(await trigger(control, 'bare', { kind: 'scheduled', cron: '', scheduledTime: 0 })).toMatchObject({
      outcome: 'exception',
    })
  })

  test('a worker that the runtime does not have is named', async () => {
    const asked = trigger(control, 'other', { kind: 'scheduled', cron: '', scheduledTime: 0 })
    await expect(asked).rejects.toThrow('no worker is called other')
  })
})

describe('queue', () => {
  test('each message comes with its body, bytes as bytes, and what was decided is told', async () => {
    const [json, bytes] = queueMessages([{ a: 1 }, Buffer.from([1, 2, 255]).toString('base64')], 5_000)
    if (json === undefined || bytes === undefined) throw new Error('no messages')
    const messages = [json, { ...bytes, encoding: 'base64' as const, attempts: 3 }]
    const result = await trigger(control, 'edge', { kind: 'queue', queue: 'orders', messages })
    expect(result).toMatchObject({
      outcome: 'ok',
      explicitAcks: [json.id],
      retryMessages: [{ msgId: bytes.id, delaySeconds: 3 }],
    })
    expect(await seen()).toEqual([
      {
        queue: 'orders',
        messages: [
          { id: json.id, attempts: 1, body: { a: 1 }, time: 5_000 },
          { id: bytes.id, attempts: 3, body: [1, 2, 255], time: 5_000 },
        ],
      },
    ])
  })

  test('a batch that is to come again says when', async () => {
    const messages = queueMessages(['x'], 0)
    expect(await trigger(control, 'edge', { kind: 'queue', queue: 'all', messages })).toMatchObject({
      retryBatch: { retry: true, delaySeconds: 9 },
    })
    expect(await trigger(control, 'edge', { kind: 'queue', queue: 'throws', messages })).toMatchObject({
      outcome: 'exception',
    })
    await seen()
  })
})

describe('email', () => {
  const send = (to: string, raw = MAIL) =>
    trigger(control, 'edge', { kind: 'email', from: 'ada@x', to, raw: Buffer.from(raw) })

  test('comes as it was sent, with its fields unfolded', async () => {
    expect(await send('bob@x')).toEqual({ outcome: 'ok', forwarded: [], replies: [] })
    expect(await seen()).toEqual([
      {
        from: 'ada@x',
        to: 'bob@x',
        size: MAIL.length,
        raw: MAIL,
        fields: [
          ['from', 'Ada <ada@x>'],
          ['message-id', '<1@x>'],
          ['subject', 'a long one'],
          ['to', 'Bob <bob@x>'],
        ],
      },
    ])
  })

  test('rejecting is heard although nobody waits for it', async () => {
    expect(await send('rejects@x')).toMatchObject({ outcome: 'ok', rejected: 'no thanks' })
  })

  test('forwarding and replying are told, with the References of the thread', async () => {
    expect(await send('forwards@x')).toMatchObject({
      forwarded: [{ to: 'next@x', fields: [['x-why', 'test']] }],
    })
    const { replies } = await send('replies@x')
    expect(replies).toMatchObject([{ from: 'replies@x', to: 'ada@x' }])
    expect(Buffer.from(replies?.[0]?.raw ?? '', 'base64').toString()).toMatch(
      /^References: <1@x>\r\nFrom: replies@x\r\n[^]*thanks\r\n$/,
    )
  })

  test('a reply that Cloudflare would refuse is refused', async () => {
    expect(await send('replies-wrong@x')).toMatchObject({
      outcome: 'exception',
      error: { message: 'In-Reply-To does not match original Message-ID' },
    })
    const automatic = MAIL.replace('Subject', 'Auto-Submitted: auto-generated\r\nSubject')
    expect(await send('replies@x', automatic)).toMatchObject({
      error: { message: 'Original email is not replyable' },
    })
  })

  test('a throw is an outcome with its error; 3 MB are no trouble, where wrangler stops at one', async () => {
    expect(await send('throws@x')).toMatchObject({
      outcome: 'exception',
      error: { name: 'TypeError', message: 'bad mail' },
    })
    await seen()
    const large = `${MAIL}${'x'.repeat(3_000_000)}`
    expect(await send('bob@x', large)).toMatchObject({ outcome: 'ok' })
    expect(await seen()).toMatchObject([{ size: large.length }])
  })
})

describe('paths of a worker’s own address', () => {
  // Answers of wrangler 4.86, asked the same.
  test.each([
    ['/cdn-cgi/handler/scheduled', 200, 'ok'],
    ['/cdn-cgi/handler/scheduled?cron=throws', 500, 'exception'],
    ['/cdn-cgi/mf/scheduled?cron=x', 200, 'ok'],
    ['/cdn-cgi/local/scheduled?cron=x', 200, 'ok'],
    ['/__scheduled?cron=x', 200, 'Ran scheduled event'],
  ])('%s → %i %s', async (path, status, text) => {
    expect(await ask(path)).toEqual({ status, text })
    await seen()
  })

  test('cron and time reach the handler; the time may be a date', async () => {
    await ask('/cdn-cgi/handler/scheduled?cron=*/5+*+*+*+*&time=120000')
    await ask('/cdn-cgi/handler/scheduled?time=1970-01-01T00:03:00Z')
    expect((await seen()).filter((one) => one !== 'waited')).toEqual([
      { cron: '*/5 * * * *', time: 120_000 },
      { cron: '', time: 180_000 },
    ])
  })

  test('a time that is none is said so; wrangler answers 500 with a stack of its own', async () => {
    expect(await ask('/cdn-cgi/handler/scheduled?time=soon')).toEqual({
      status: 400,
      text: expect.stringContaining('scheduledTime is "soon" and no time') as string,
    })
  })

  test('format=json tells everything', async () => {
    const { status, text } = await ask('/cdn-cgi/handler/scheduled?cron=gives+up&format=json')
    expect([status, JSON.parse(text)]).toEqual([500, { outcome: 'exception', noRetry: true }])
  })

  test('the old path says what it is called now', async () => {
    await ask('/cdn-cgi/mf/scheduled')
    expect(lines).toMatchObject([{ level: 'warn', text: expect.stringContaining('deprecated') as string }])
  })

  test('a queue takes a list of messages, or a batch with its name', async () => {
    await seen()
    const asked = await ask('/cdn-cgi/handler/queue?queue=orders', {
      body: '[{"body":"one"},{"body":{"two":2}}]',
    })
    expect(asked).toEqual({ status: 200, text: 'ok' })
    await ask('/cdn-cgi/handler/queue', { body: '{"queue":"q","messages":[{"id":"m1","body":1}]}' })
    expect(await seen()).toMatchObject([
      { queue: 'orders', messages: [{ body: 'one' }, { body: { two: 2 } }] },
      { queue: 'q', messages: [{ id: 'm1', body: 1 }] },
    ])
    expect(await ask('/cdn-cgi/handler/queue', { body: '{' })).toMatchObject({ status: 400 })
    expect(await ask('/cdn-cgi/handler/queue', { body: '["text"]' })).toEqual({
      status: 400,
      text: 'message 0 has no "body": write {"body": …} for each',
    })
  })

  test('an email is sent by its content, and what became of it is said in the terminal', async () => {
    const mail = (query: string, body = MAIL) => ask(`/cdn-cgi/handler/email?${query}`, { body })
    expect(await mail('from=ada@x&to=bob@x')).toEqual({
      status: 200,
      text: 'Worker successfully processed email',
    })
    expect(lines).toEqual([])
    expect(await mail('from=ada@x&to=throws@x')).toEqual({ status: 500, text: 'TypeError: bad mail' })
    expect(await mail('from=ada@x&to=rejects@x')).toEqual({
      status: 400,
      text: 'Worker rejected email with the following reason: no thanks',
    })
    await mail('from=eve@x&to=forwards@x')
    expect(lines.map(({ text }) => text)).toEqual([
      "email: the envelope is to throws@x, the message's To field says bob@x",
      "email: the envelope is to rejects@x, the message's To field says bob@x",
      'email: rejected: no thanks',
      "email: the envelope is from eve@x, the message's From field says ada@x",
      "email: the envelope is to forwards@x, the message's To field says bob@x",
      'email: forwarded to next@x\n  x-why: test',
    ])
    expect(await mail('to=bob@x')).toMatchObject({ status: 400 })
    expect(await mail('from=ada@x&to=bob@x', 'From: ada@x\r\n\r\nhi')).toEqual({
      status: 400,
      text: 'Email could not be parsed: invalid or no message id provided',
    })
  })

  test('a reply is a file to look at', async () => {
    await ask('/cdn-cgi/handler/email?from=ada@x&to=replies@x', { body: MAIL })
    const folder = join(stateDirectory, 'workers', 'emails')
    const [file = ''] = await readdir(folder)
    expect(await readFile(join(folder, file), 'utf8')).toContain('In-Reply-To: <1@x>')
    expect(lines.at(-1)?.text).toContain(join(folder, file))
  })

  test('a web page of another site runs nothing, neither by its origin nor by a name that leads here', async () => {
    await seen()
    const from = (headers: Record<string, string>) => ask('/cdn-cgi/handler/scheduled', { headers })
    expect(await from({ Origin: 'http://evil.test' })).toEqual({ status: 403, text: 'Invalid Origin header' })
    expect(await from({ Host: 'evil.test' })).toEqual({ status: 403, text: 'Invalid Host header' })
    expect(await from({ Origin: 'null' })).toEqual({ status: 403, text: 'Invalid Origin header' })
    expect(await from({ 'Sec-Fetch-Site': 'cross-site' })).toEqual({
      status: 403,
      text: 'Invalid Origin header',
    })
    expect(await from({ Host: 'notshop.test' })).toMatchObject({ status: 403 })
    expect(await seen()).toEqual([])
    for (const Host of [
      'localhost:8069',
      'edge.localhost',
      '[::1]:1',
      'shop.test',
      'www.shop.test',
      'api.test',
    ])
      expect([Host, (await from({ Host })).status]).toEqual([Host, 200])
    expect((await from({ Origin: 'http://localhost:3000' })).status).toBe(200)
    expect((await from({ 'Sec-Fetch-Site': 'none' })).status).toBe(200)
  })

  test('another handler’s name is answered with those there are', async () => {
    expect(await ask('/cdn-cgi/handler/alarm')).toEqual({
      status: 404,
      text: '"/cdn-cgi/handler/alarm" is not a valid handler. Did you mean "/cdn-cgi/handler/scheduled" or "/cdn-cgi/handler/queue" or "/cdn-cgi/handler/email"?',
    })
  })

  test('everything else is the worker’s own', () => {
    const own = [
      '/',
      '/cdn-cgi/trace',
      '/cdn-cgi/handler',
      '/cdn-cgi/local/other',
      '/__scheduledx',
      '/x/__scheduled',
      '/c',
      '/cdn-cgi/mf/scheduledx',
    ]
    expect(own.filter(isTriggerPath)).toEqual([])
    const taken = [
      '/__scheduled',
      '/__scheduled?cron=x',
      '/cdn-cgi/handler/x',
      '/cdn-cgi/local/email?from=a',
      '/cdn-cgi/mf/scheduled',
    ]
    expect(taken.filter((path) => !isTriggerPath(path))).toEqual([])
  })
})
