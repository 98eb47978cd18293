import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { cli, type CliResult } from './cli.ts'

const PROGRAM = `
export default {
  fetch: () => new Response('hello'),
  async scheduled({ cron, scheduledTime }) {
    console.log('ran', cron, scheduledTime)
    if (cron === 'throws') throw new Error('bad cron')
  },
  async queue({ queue, messages }) {
    console.log(queue, JSON.stringify(messages.map(({ body }) => body)))
    messages[0].ack()
  },
  async email(message) {
    console.log(message.from, message.headers.get('subject'), await new Response(message.raw).text())
    message.setReject('not today')
  },
}`

const MAIL = 'From: ada@x\r\nTo: bob@x\r\nMessage-ID: <1@x>\r\nSubject: from a file\r\n\r\nhello\r\n'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flexi-handlers-'))
  const wrangler = { name: 'edge', main: 'index.js', compatibility_date: '2026-01-01' }
  const functions = {
    edge: { provider: 'workers', config: 'edge/wrangler.json' },
    hello: { provider: 'lambda', handler: 'hello.handler' },
  }
  await mkdir(join(folder, 'edge'))
  await writeFile(join(folder, 'edge/wrangler.json'), JSON.stringify(wrangler))
  await writeFile(join(folder, 'edge/index.js'), PROGRAM)
  await writeFile(join(folder, 'hello.mjs'), 'export const handler = async (event) => event')
  await writeFile(join(folder, 'flexi.jsonc'), JSON.stringify({ functions }))
  await writeFile(join(folder, 'mail.eml'), MAIL)
})
afterAll(async () => rm(folder, { recursive: true, force: true }))

function invoke(...args: readonly string[]): Promise<CliResult> {
  return cli(['invoke', ...args], { cwd: folder })
}

describe('flexi invoke --event', () => {
  test('cron runs the scheduled handler: its outcome is the result, what it prints goes to stderr', async () => {
    const { exit, stdout, stderr } = await invoke(
      '--event',
      'cron',
      '--set',
      'cron=0 7 * * *',
      '--set',
      'time=60000',
      'edge',
    )
    expect([exit, JSON.parse(stdout)]).toEqual([0, { outcome: 'ok', noRetry: false }])
    expect(stderr).toContain('ran 0 7 * * * 60000')
  })

  test('a handler that throws is exit code 1, with its line', async () => {
    const { exit, stdout, stderr } = await invoke('--event', 'workers:cron', '--set', 'cron=throws', 'edge')
    expect([exit, JSON.parse(stdout)]).toEqual([1, { outcome: 'exception', noRetry: false }])
    expect(stderr).toContain('edge/index.js:6')
    expect(stderr).toContain('bad cron')
  })

  test('queue takes the bodies of its messages as --payload', async () => {
    const bodies = ['--payload', '[{"id":1},"two"]']
    const { exit, stdout, stderr } = await invoke(
      '--event',
      'queue',
      '--set',
      'queue=orders',
      ...bodies,
      'edge',
    )
    expect(exit).toBe(0)
    const { explicitAcks } = JSON.parse(stdout) as { explicitAcks: unknown[] }
    expect(explicitAcks).toHaveLength(1)
    expect(stderr).toContain('orders [{"id":1},"two"]')
    const one = await invoke('--event', 'queue', '--set', 'body={"a":1}', 'edge')
    expect(one.stderr).toContain('my-queue [{"a":1}]')
  })

  test('email takes a message as --payload, or is made of its parts', async () => {
    const file = await invoke('--event', 'email', '--set', 'from=ada@x', '--payload', 'mail.eml', 'edge')
    expect([file.exit, JSON.parse(file.stdout)]).toMatchObject([0, { outcome: 'ok', rejected: 'not today' }])
    expect(file.stderr).toContain('ada@x from a file')
    const made = await invoke(
      '--event',
      'email',
      '--set',
      'subject=made here',
      '--set',
      'text=some words',
      'edge',
    )
    expect(made.stderr).toContain('made here')
    expect(made.stderr).toContain('some words')
  })

  test('what does not fit is said before anything runs', async () => {
    const other = await invoke('--event', 'cron', 'hello')
    expect(other.exit).toBe(2)
    expect(other.stderr).toContain('workers:cron is an event of workers, and hello is a function of lambda')
    const payload = await invoke('--event', 'cron', '--payload', '{}', 'edge')
    expect(payload.exit).toBe(2)
    expect(payload.stderr).toContain('an event of workers:cron takes no --payload')
    const place = await invoke('--event', 'cron', '--set', 'when=now', 'edge')
    expect(place.stderr).toContain('an event of workers:cron has no when')
  })

  test('without an event a Worker is asked a request', async () => {
    expect(await invoke('edge')).toMatchObject({ exit: 0, stdout: 'hello' })
  })
})

test('flexi events lists them with the provider that takes them', async () => {
  const listed = JSON.parse((await cli(['events', '--json'])).stdout) as {
    source: string
    provider: string
  }[]
  expect(listed.filter(({ provider }) => provider === 'workers').map(({ source }) => source)).toEqual([
    'workers:cron',
    'workers:queue',
    'workers:email',
  ])
  expect((await cli(['events'])).stdout).toMatch(/workers:cron +workers +A cron trigger/)
})
