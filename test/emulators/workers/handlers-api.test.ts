import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import type { RequestContext } from '../../../src/core/fetcher.ts'
import type { ApiFunction, ApiHost, FunctionScope, OpenApi } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { Crons } from '../../../src/emulators/workers/api/crons.ts'
import { readConfiguration } from '../../../src/emulators/workers/configuration.ts'
import { cronFaults } from '../../../src/emulators/workers/events/cron-faults.ts'
import { groupsOf } from '../../../src/emulators/workers/groups/groups.ts'
import { workers } from '../../../src/emulators/workers/index.ts'
import { serveProject, type Project } from './project.ts'

const EDGE = `
const seen = []
export default {
  fetch: () => Response.json(seen.splice(0)),
  scheduled({ cron, scheduledTime }) {
    seen.push([cron, scheduledTime])
    if (cron === 'throws') throw new Error('bad cron')
  },
  queue({ queue, messages }) {
    seen.push([queue, messages.map(({ body }) => body)])
  },
  email(message) {
    seen.push([message.from, message.to])
    message.setReject('no')
  },
}`

let project: Project
let host: ApiHost
let api: OpenApi
let server: Server

beforeAll(async () => {
  project = await serveProject({
    edge: {
      code: EDGE,
      config: {
        triggers: { crons: ['0 7 * * *'] },
        vars: { SECRET: 'not to be shown' },
        kv_namespaces: [{ binding: 'KV', id: 'x' }],
        queues: { consumers: [{ queue: 'orders' }] },
      },
    },
    plain: { code: 'export default { fetch: () => new Response("plain") }' },
  })
  const functions = ['edge', 'plain'].map(
    (name) => ({ revision: 'r1', url: `http://x/_flexi/f/${name}/` }) as ApiFunction,
  )
  host = {
    app: project.app,
    functions: () => functions,
    find: (name: string) => functions[['edge', 'plain'].indexOf(name)],
  } as unknown as ApiHost
  const opened = await workers.api?.open(host)
  if (opened === undefined) throw new Error('workers have no API')
  api = opened
  server = createServer((incoming, outgoing) => {
    const context = { raw: { target: incoming.url ?? '' } } as RequestContext
    api.handle(incoming, outgoing, context).catch((error: unknown) => {
      outgoing.statusCode = error instanceof FlexiError ? error.status : 599
      outgoing.end(String(error))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
}, 20_000)
beforeEach(() => {
  project.worker('edge').lines.length = 0
})
afterAll(async () => {
  server?.close()
  await api?.[Symbol.asyncDispose]()
  await project?.[Symbol.asyncDispose]()
})

async function ask(path: string, init: RequestInit = { method: 'POST' }): Promise<[number, unknown]> {
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
  const text = await response.text()
  return [response.status, text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text]
}

async function seen(): Promise<unknown> {
  return JSON.parse(await project.worker('edge').text('/'))
}

async function open(options: Record<string, unknown>) {
  const origin = { file: 'flexi.jsonc', line: 1, column: 1 }
  // Nothing of the scope is read before the options and the wrangler file are.
  const scope = {} as FunctionScope
  return workers.open(
    { name: 'edge', provider: 'workers', directory: project.directory, origin, environment: {}, options },
    scope,
  )
}

describe('triggers', () => {
  test('scheduled, queue and email tell their outcome', async () => {
    expect(await ask('/edge/trigger/scheduled?cron=a&time=5')).toEqual([
      200,
      { outcome: 'ok', noRetry: false },
    ])
    expect(
      await ask('/edge/trigger/queue?queue=orders', { method: 'POST', body: '[{"body":1}]' }),
    ).toMatchObject([200, { outcome: 'ok' }])
    const body = 'From: a@x\r\nTo: b@x\r\nMessage-ID: <1@x>\r\n\r\nhi'
    expect(await ask('/edge/trigger/email?from=a@x&to=b@x', { method: 'POST', body })).toMatchObject([
      200,
      { outcome: 'ok', rejected: 'no' },
    ])
    expect(await seen()).toEqual([
      ['a', 5],
      ['orders', [1]],
      ['a@x', 'b@x'],
    ])
    expect(project.worker('edge').lines).toMatchObject([{ level: 'warn', text: 'email: rejected: no' }])
  })

  test('a throw is a 500 with its outcome', async () => {
    expect(await ask('/edge/trigger/scheduled?cron=throws')).toEqual([
      500,
      { outcome: 'exception', noRetry: false },
    ])
    await seen()
  })

  test('what cannot be is said: another name, another trigger, another method, nothing to send', async () => {
    expect(await ask('/nobody/trigger/scheduled')).toEqual([
      404,
      expect.stringContaining('no worker is called nobody'),
    ])
    expect(await ask('/edge/trigger/alarm')).toEqual([
      404,
      expect.stringContaining('there is no trigger "alarm"'),
    ])
    expect(await ask('/edge/trigger/scheduled', {})).toEqual([400, expect.stringContaining('asked by POST')])
    expect(await ask('/edge/trigger/email?from=a')).toEqual([400, expect.stringContaining('Invalid email')])
    expect(await ask('/edge/trigger/queue')).toEqual([400, expect.stringContaining('no JSON')])
    expect(await ask('/edge/other')).toEqual([404, expect.stringContaining('there is nothing at')])
    expect(await ask('//')).toEqual([404, expect.stringContaining('there is nothing at')])
    expect(await ask('/%ZZ/trigger/scheduled')).toEqual([
      404,
      expect.stringContaining('no worker is called %ZZ'),
    ])
    expect(await seen()).toEqual([])
  })
})

test('the list has crons, queues and names of bindings, and no values', async () => {
  const [status, list] = await ask('/', {})
  expect([status, list]).toEqual([
    200,
    [
      {
        function: 'edge',
        worker: 'edge',
        url: 'http://x/_flexi/f/edge/',
        revision: 'r1',
        crons: ['0 7 * * *'],
        queues: ['orders'],
        bindings: expect.arrayContaining([
          { name: 'SECRET', kind: 'var' },
          { name: 'KV', kind: 'kv' },
        ]) as unknown,
      },
      expect.objectContaining({ function: 'plain', crons: [], queues: [] }),
    ],
  ])
  expect(JSON.stringify(list)).not.toContain('not to be shown')
})

test('the API is opened at the start only where crons have to be kept', async () => {
  expect(await workers.api?.wanted?.(host)).toBe(true)
  await using idle = await serveProject({ plain: { code: 'export default { fetch: () => new Response() }' } })
  expect(await workers.api?.wanted?.({ ...host, app: idle.app })).toBe(false)
  expect(await workers.api?.wanted?.({ ...host, app: {}, functions: () => [] })).toBe(false)
})

test('a cron that is due by the clock reaches its handler, and the terminal says so', async () => {
  let time = Date.parse('2026-11-21T06:59:30Z')
  let due: () => void = () => undefined
  const clock = {
    now: () => time,
    after(_ms: number, call: () => void) {
      due = call
      return () => undefined
    },
  }
  await using crons = new Crons({ isBuilt: () => true, groups: groupsOf(project.app), clock })
  time = Date.parse('2026-11-21T07:00:00.020Z')
  due()
  await crons.settled()
  expect(await seen()).toEqual([['0 7 * * *', Date.parse('2026-11-21T07:00:00Z')]])
  expect(project.worker('edge').lines.map(({ text }) => text)).toEqual([
    'crons fire by the clocks of UTC: 0 7 * * *',
    expect.stringMatching(/^cron 0 7 \* \* \*: ok in \d+ ms$/),
  ])
})

test('an event finds its handler, and a source without one is refused', async () => {
  const run = (source: string, event: unknown) =>
    workers.runEvent?.({ app: project.app, name: 'edge', source, event })
  expect(await run('workers:cron', { cron: 'b', scheduledTime: '1970-01-01T00:00:01Z' })).toMatchObject({
    contentType: 'application/json',
    functionError: undefined,
  })
  expect(await run('workers:cron', { cron: 'throws' })).toMatchObject({ functionError: 'Unhandled' })
  await expect(run('aws:sqs', {})).rejects.toThrow('a Worker has no handler for aws:sqs')
  expect(await seen()).toMatchObject([
    ['b', 1000],
    ['throws', expect.any(Number)],
  ])
})

describe('options of the function', () => {
  test.each([
    [{ time_zone: 'Europe/Nowhere' }, '"time_zone" must be "local" or the name of a time zone'],
    [{ crons: 'no' }, '"crons" must be true or false'],
    [{ cron: false }, '"cron" is no option of a worker'],
  ])('%j: %s', async (options, message) => {
    await expect(open(options)).rejects.toThrow(message)
  })

  test('good ones are taken', async () => {
    await expect(open({ crons: false, time_zone: 'local' })).rejects.toThrow('has no wrangler file')
  })
})

test('a cron that cannot be is a fault at its line when the worker is opened', async () => {
  const config = { triggers: { crons: ['0 7 * * *', '0 25 * * *'] } }
  const text = JSON.stringify({ name: 'bad', main: 'index.ts', compatibility_date: '2026-01-01', ...config })
  const file = join(project.directory, 'bad.json')
  await writeFile(file, text)
  await expect(open({ config: file })).rejects.toMatchObject({
    code: 'FLEXI_CONFIG',
    faults: [
      {
        place: { file, line: 1, column: text.indexOf('"0 25') + 1 },
        message: 'cron "0 25 * * *" cannot be: hours "25" cannot be: it has 0 to 23',
      },
    ],
  })
})

test('a cron of an environment is a fault in that environment', async () => {
  const config = {
    triggers: { crons: ['0 7 * * *'] },
    env: { staging: { triggers: { crons: ['0 7 * *'] } } },
  }
  const file = join(project.directory, 'staging.json')
  await writeFile(file, JSON.stringify({ name: 'bad', main: 'index.ts', ...config }, undefined, 1))
  const opened = readConfiguration(file as AbsolutePath, 'staging').then(cronFaults)
  await expect(opened).resolves.toMatchObject([
    { text: expect.stringContaining('"0 7 * *"') as string, place: { line: 13 } },
  ])
})
