import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { FlexiError } from '../../src/core/errors.ts'
import { openTestDaemon, type Answer, type TestDaemon } from './api-harness.ts'
import type { Group } from '../../src/daemon/model.ts'

let daemon: TestDaemon

beforeEach(async () => {
  daemon = await openTestDaemon()
})

afterEach(async () => {
  await daemon[Symbol.asyncDispose]()
})

const TAR = { body: 'a tar', type: 'application/x-tar' }

/** Uploads and, unless told otherwise, as root. */
function upload(key: string, token?: string): Promise<Answer> {
  return daemon.ask('POST', `/api/upload/${key}`, token === undefined ? TAR : { ...TAR, token })
}

const YFASS_CONFIG = {
  group: 'custom:team',
  addr: '127.0.0.1:9000',
  sandbox: {
    command: './serve',
    args: ['--verbose'],
    ro_entries: { '/usr/share': null, '/etc/ssl': '/ssl' },
    envs: { MODE: 'fast', HOME: null },
    inherit_stdout: true,
    syscall_filter_mode: 'Allow',
    syscall_filter: ['read', 'write'],
    mount_procfs: false,
    mount_devtmpfs: true,
    mount_tmpfs: true,
  },
}

describe("YFASS's functions", () => {
  test('an upload is 200 with an empty body, and the same version again is 409', async () => {
    expect(await upload('hello@v1')).toMatchObject({ status: 200, text: '' })
    expect(await upload('hello@v1')).toMatchObject({
      status: 409,
      json: { error: 'hello@v1 is there', code: 'FLEXI_CONFLICT' },
    })
  })

  test.each(['application/gzip', 'application/x-gzip', 'Application/X-Tar; q=1'])(
    '%s is taken',
    async (type) => {
      expect((await daemon.ask('POST', '/api/upload/a@b', { body: 'x', type })).status).toBe(200)
    },
  )

  test('archives of another type, or of none, are 400', async () => {
    const zip = await daemon.ask('POST', '/api/upload/a@b', { body: 'x', type: 'application/zip' })
    expect(zip).toMatchObject({
      status: 400,
      json: { error: 'the Content-Type application/zip is not taken here' },
    })
    const none = await daemon.ask('POST', '/api/upload/a@b', { body: new Uint8Array(3) })
    expect(none).toMatchObject({ status: 400, json: { error: 'no Content-Type is not taken here' } })
  })

  test.each(['Hello@v1', 'hello@V1', '-a@v1', 'a_b@v1', `${'a'.repeat(64)}@v1`, 'a@b@c', 'a@%00'])(
    'the name %s is forbidden',
    async (key) => {
      expect((await upload(key)).status).toBe(403)
    },
  )

  test.each(['hello', 'hello@', '@v1', '%FF@v1', 'a%2Fb@v1'])('a key such as %s is 400', async (key) => {
    expect((await upload(key)).status).toBe(400)
  })

  test('get tells name, version, alias and configuration, by version and by alias', async () => {
    await upload('hello@v1')
    const before = await daemon.ask('GET', '/api/get/hello@v1')
    expect(before.json).toEqual({
      meta: { name: 'hello', version: 'v1' },
      config: {
        group: 'singular:root',
        addr: '127.0.0.1:0',
        sandbox: {
          command: '',
          args: [],
          ro_entries: {},
          envs: {},
          inherit_stdout: false,
          syscall_filter_mode: 'Deny',
          syscall_filter: [],
          mount_procfs: true,
          mount_devtmpfs: true,
          mount_tmpfs: false,
        },
      },
    })
    await daemon.ask('PATCH', '/api/alias/hello@v1', { json: { alias: 'live' } })
    const after = await daemon.ask('GET', '/api/get/hello@live')
    expect(after.json).toMatchObject({ meta: { name: 'hello', version: 'v1', version_alias: 'live' } })
    expect((await daemon.ask('GET', '/api/get/hello@v2')).status).toBe(404)
  })

  test('what override is sent is what get answers', async () => {
    await upload('hello@v1')
    expect(await daemon.ask('PUT', '/api/override/hello@v1', { json: YFASS_CONFIG })).toMatchObject({
      status: 200,
      text: '',
    })
    expect((await daemon.ask('GET', '/api/get/hello@v1')).json).toMatchObject({ config: YFASS_CONFIG })
    const answered = (await daemon.ask('GET', '/api/get/hello@v1')).json as { config: unknown }
    expect(answered.config).toEqual(YFASS_CONFIG)
  })

  test('what is left out of a configuration has its default', async () => {
    await upload('hello@v1')
    const json = { addr: '[::1]:0', sandbox: { command: './serve' } }
    expect((await daemon.ask('PUT', '/api/override/hello@v1', { json })).status).toBe(200)
    const answered = (await daemon.ask('GET', '/api/get/hello@v1')).json as { config: unknown }
    expect(answered.config).toEqual({
      addr: '[::1]:0',
      sandbox: {
        command: './serve',
        args: [],
        ro_entries: {},
        envs: {},
        inherit_stdout: false,
        syscall_filter_mode: 'Deny',
        syscall_filter: [],
        mount_procfs: true,
        mount_devtmpfs: true,
        mount_tmpfs: false,
      },
    })
  })

  test("flexi's own fields are told where they say something", async () => {
    await upload('hello@v1')
    const own = { network: 'none', limits: { memoryMb: 64 }, environment: { A: '1' } }
    const json = { ...YFASS_CONFIG, ...own, instances: {} }
    expect((await daemon.ask('PUT', '/api/override/hello@v1', { json })).status).toBe(200)
    const answered = (await daemon.ask('GET', '/api/get/hello@v1')).json as { config: unknown }
    expect(answered.config).toEqual({ ...YFASS_CONFIG, ...own })
  })

  test.each([
    ['addr', { addr: 'localhost:80' }],
    ['addr', { addr: '127.0.0.1:65536' }],
    ['addr', { addr: '127.0.0.256:1' }],
    ['addr', { addr: undefined }],
    ['sandbox', { sandbox: undefined }],
    ['group', { group: 'permission:everything' }],
    ['group', { group: 'team' }],
    ['provider', { provider: 'cobol' }],
    ['provider', { provider: 'routes' }],
    ['sandbox.syscall_filter_mode', { sandbox: { command: 'x', syscall_filter_mode: 'deny' } }],
    ['sandbox', { sandbox: { command: 'x', mount_procf: true } }],
    ['sandbox.envs', { sandbox: { command: 'x', envs: { 'A=B': 'c' } } }],
    ['sandbox.args.0', { sandbox: { command: 'x', args: ['a\0b'] } }],
    ['', { colour: 'red' }],
  ])('a configuration with a wrong %s is 422 and says where', async (path, change) => {
    await upload('hello@v1')
    const answer = await daemon.ask('PUT', '/api/override/hello@v1', { json: { ...YFASS_CONFIG, ...change } })
    expect(answer.status).toBe(422)
    const { faults } = answer.json as { faults: { path: string }[] }
    expect(faults[0]?.path.startsWith(path)).toBe(true)
  })

  test('deploy, status and kill say what runs: 409 while it does, 404 when it does not', async () => {
    await upload('hello@v1')
    const running = async (): Promise<unknown> => (await daemon.ask('GET', '/api/status/hello@v1')).json
    expect(await running()).toEqual({ running: false })
    expect(await daemon.ask('POST', '/api/deploy/hello@v1')).toMatchObject({ status: 200, text: '' })
    expect(await running()).toEqual({ running: true })
    expect((await daemon.ask('POST', '/api/deploy/hello@v1')).status).toBe(409)
    daemon.control.crash({ name: 'hello', version: 'v1' })
    expect(await running()).toEqual({ running: false })
    expect((await daemon.ask('POST', '/api/deploy/hello@v1')).status).toBe(200)
    expect(await daemon.ask('POST', '/api/kill/hello@v1')).toMatchObject({ status: 200, text: '' })
    expect((await daemon.ask('POST', '/api/kill/hello@v1')).status).toBe(404)
    expect((await daemon.ask('GET', '/api/status/nothing@v1')).json).toEqual({ running: false })
  })

  test('what does not start is 500 with what it printed', async () => {
    await upload('hello@v1')
    await daemon.ask('PUT', '/api/override/hello@v1', {
      json: { addr: '127.0.0.1:0', sandbox: { command: 'fail' } },
    })
    expect(await daemon.ask('POST', '/api/deploy/hello@v1')).toMatchObject({
      status: 500,
      json: { error: 'ended with status 1', code: 'FLEXI_FUNCTION_INIT', log: ['no such file'] },
    })
  })

  test.each(['PUT', 'PATCH'])('an alias is set and taken away by %s', async (method) => {
    await upload('hello@v1')
    expect(await daemon.ask(method, '/api/alias/hello@v1', { json: { alias: 'live' } })).toMatchObject({
      status: 200,
      text: '',
    })
    expect((await daemon.ask('GET', '/api/get/hello@live')).status).toBe(200)
    expect((await daemon.ask(method, '/api/alias/hello@v1', { json: { alias: null } })).status).toBe(200)
    expect((await daemon.ask('GET', '/api/get/hello@live')).status).toBe(404)
    expect((await daemon.ask(method, '/api/alias/hello@v1', { json: { alias: 'A' } })).status).toBe(403)
    expect((await daemon.ask(method, '/api/alias/hello@v1', { json: {} })).status).toBe(422)
  })

  test('remove takes a version away', async () => {
    await upload('hello@v1')
    expect(await daemon.ask('DELETE', '/api/remove/hello@v1')).toMatchObject({ status: 200, text: '' })
    expect((await daemon.ask('DELETE', '/api/remove/hello@v1')).status).toBe(404)
  })

  test('get tells environment, arguments and settings to those of the group alone', async () => {
    await upload('hello@v1')
    const json = { ...YFASS_CONFIG, environment: { KEY: 's3cret' }, options: { fail: 's3cret' } }
    expect((await daemon.ask('PUT', '/api/override/hello@v1', { json })).status).toBe(200)
    const seen = async (...groups: Group[]): Promise<Answer> =>
      daemon.ask('GET', '/api/get/hello@v1', { token: daemon.token(`u${groups.length}`, ...groups) })
    const outside = await seen('permission:read')
    expect(outside).toMatchObject({
      status: 200,
      json: { config: { addr: '127.0.0.1:9000', sandbox: { args: [], envs: {} } } },
    })
    expect(outside.text).not.toMatch(/s3cret|fast|verbose/)
    expect((await seen('permission:read', 'custom:team')).json).toMatchObject({ config: json })
  })

  test('an uploader manages their own function, and another writer does not', async () => {
    const all = ['permission:write', 'permission:execute', 'permission:remove'] as const
    const ada = daemon.token('ada', ...all)
    const bob = daemon.token('bob', ...all)
    expect((await upload('hello@v1', ada)).status).toBe(200)
    const json = { ...YFASS_CONFIG, group: 'singular:ada' }
    for (const [token, status] of [
      [bob, 403],
      [ada, 200],
    ] as const) {
      expect((await daemon.ask('PUT', '/api/override/hello@v1', { token, json })).status).toBe(status)
      expect((await daemon.ask('POST', '/api/deploy/hello@v1', { token })).status).toBe(status)
      expect((await daemon.ask('POST', '/api/kill/hello@v1', { token })).status).toBe(status)
      expect((await daemon.ask('DELETE', '/api/remove/hello@v1', { token })).status).toBe(status)
    }
  })
})

describe("YFASS's users", () => {
  test('are added in lower case, shown, changed and removed', async () => {
    const groups = ['permission:write', 'custom:team']
    expect(await daemon.ask('POST', '/api/user/add', { json: { name: 'Ada', groups } })).toMatchObject({
      status: 200,
      text: '',
    })
    expect((await daemon.ask('POST', '/api/user/add', { json: { name: 'ada' } })).status).toBe(409)
    expect((await daemon.ask('GET', '/api/user/get/ADA')).json).toEqual({ name: 'ada', groups })
    expect((await daemon.ask('PUT', '/api/user/modify', { json: { name: 'ada' } })).status).toBe(200)
    expect((await daemon.ask('GET', '/api/user/get/ada')).json).toEqual({ name: 'ada', groups: [] })
    expect((await daemon.ask('DELETE', '/api/user/remove/ada')).status).toBe(200)
    expect((await daemon.ask('DELETE', '/api/user/remove/ada')).status).toBe(404)
    expect((await daemon.ask('GET', '/api/user/get/ada')).status).toBe(404)
  })

  test('root is there, and is neither added, changed nor removed', async () => {
    expect((await daemon.ask('GET', '/api/user/get/root')).json).toEqual({
      name: 'root',
      groups: ['permission:root'],
    })
    expect((await daemon.ask('POST', '/api/user/add', { json: { name: 'root' } })).status).toBe(409)
    expect((await daemon.ask('PUT', '/api/user/modify', { json: { name: 'root' } })).status).toBe(403)
    expect((await daemon.ask('DELETE', '/api/user/remove/root')).status).toBe(404)
    expect((await daemon.ask('POST', '/api/user/request-token', { json: { user: 'root' } })).status).toBe(404)
  })

  test('names that are none are forbidden, groups that are none are 422', async () => {
    expect((await daemon.ask('POST', '/api/user/add', { json: { name: 'a b' } })).status).toBe(403)
    expect((await daemon.ask('GET', '/api/user/get/a%20b')).status).toBe(403)
    expect((await daemon.ask('DELETE', '/api/user/remove/a%20b')).status).toBe(403)
    const json = { name: 'ada', groups: ['permission:fly'] }
    expect((await daemon.ask('POST', '/api/user/add', { json })).status).toBe(422)
  })

  test('show themselves to themselves, and others to admins alone', async () => {
    const token = daemon.token('ada')
    daemon.token('bob')
    expect((await daemon.ask('GET', '/api/user/get/Ada', { token })).status).toBe(200)
    expect((await daemon.ask('GET', '/api/user/get/bob', { token })).status).toBe(403)
    expect((await daemon.ask('GET', '/api/user/get/nobody', { token })).status).toBe(403)
  })

  test('get tokens as text of 43 characters, which sign in', async () => {
    await daemon.ask('POST', '/api/user/add', { json: { name: 'ada', groups: ['permission:read'] } })
    const made = await daemon.ask('POST', '/api/user/request-token', { json: { user: 'ada', duration: 3 } })
    expect(made.status).toBe(200)
    expect(made.text).toMatch(/^[\w-]{43}$/)
    expect(made.fields.get('content-type')).toMatch(/^text\/plain/)
    const whoami = await daemon.ask('GET', '/api/whoami', { token: made.text })
    expect(whoami.json).toMatchObject({ user: 'ada', permissions: ['read'] })
    const { expiresAt } = whoami.json as { expiresAt: number }
    expect(expiresAt - Date.now()).toBeGreaterThan(2.9 * 86_400_000)
    expect((await daemon.ask('POST', '/api/user/request-token', { json: { user: 'none' } })).status).toBe(404)
    for (const duration of [0, -1, 1e9, '3'])
      expect(
        (await daemon.ask('POST', '/api/user/request-token', { json: { user: 'ada', duration } })).status,
      ).toBe(422)
  })

  test('no admin makes root, gives what they lack, or removes', async () => {
    const token = daemon.token('anna', 'permission:admin')
    const add = { token, json: { name: 'eve', groups: ['permission:root'] } }
    expect(await daemon.ask('POST', '/api/user/add', add)).toMatchObject({
      status: 403,
      json: { error: 'anna lacks permission:root and cannot give it' },
    })
    const modify = { token, json: { name: 'anna', groups: ['permission:root'] } }
    expect((await daemon.ask('PUT', '/api/user/modify', modify)).status).toBe(403)
    expect((await daemon.ask('DELETE', '/api/user/remove/anna', { token })).status).toBe(403)
  })
})

/** An operation for each permission that YFASS's table names. */
const NEEDED = [
  ['POST', '/api/upload/a@b', 'write'],
  ['GET', '/api/get/a@b', 'read'],
  ['PUT', '/api/override/a@b', 'write'],
  ['PATCH', '/api/alias/a@b', 'write'],
  ['DELETE', '/api/remove/a@b', 'remove'],
  ['POST', '/api/deploy/a@b', 'execute'],
  ['POST', '/api/kill/a@b', 'execute'],
  ['GET', '/api/status/a@b', 'read'],
  ['POST', '/api/user/add', 'admin'],
  ['DELETE', '/api/user/remove/x', 'root'],
  ['POST', '/api/user/request-token', 'admin'],
  ['PUT', '/api/user/modify', 'admin'],
  ['PUT', `/api/artifacts/${'0'.repeat(64)}`, 'write'],
  ['GET', '/api/functions', 'read'],
  ['POST', '/api/functions/a/start', 'execute'],
  ['DELETE', '/api/functions/a', 'remove'],
  ['PATCH', '/api/functions/a/variables', 'write'],
  ['GET', '/api/users', 'admin'],
  ['GET', '/api/audit', 'admin'],
] as const

describe('who may ask', () => {
  test('nobody without a token, and none that is unknown', async () => {
    for (const [method, path] of NEEDED) {
      const none = await daemon.ask(method, path, { token: null })
      expect(none.status).toBe(401)
      expect(none.fields.get('www-authenticate')).toBe('Bearer')
      expect((await daemon.ask(method, path, { token: 'wrong' })).status).toBe(403)
    }
  })

  test.each(NEEDED)('%s %s takes the permission, and nothing less', async (method, path, needed) => {
    const others = (['read', 'write', 'execute', 'remove'] as const).filter(
      (other) => other !== needed && !(needed === 'read' && other !== 'execute'),
    )
    const weak = daemon.token('weak', ...others.map((other) => `permission:${other}` as const))
    const strong = daemon.token('strong', `permission:${needed}`)
    expect((await daemon.ask(method, path, { token: weak })).json).toEqual({
      error: `weak lacks permission:${needed}`,
      code: 'FLEXI_FORBIDDEN',
      hint: expect.any(String),
    })
    const { json } = await daemon.ask(method, path, { token: strong })
    expect((json as { error?: string } | undefined)?.error ?? '').not.toContain('lacks')
  })

  test('a deployment takes writing and executing', async () => {
    const token = daemon.token('ada', 'permission:write')
    expect(await daemon.ask('POST', '/api/deployments', { token, json: {} })).toMatchObject({
      status: 403,
      json: { error: 'ada lacks permission:execute' },
    })
  })

  test('is asked before what they ask: a body is not looked at first', async () => {
    const token = daemon.token('ada')
    const wrong = { token, body: '{', type: 'text/plain' }
    expect((await daemon.ask('POST', '/api/user/add', wrong)).status).toBe(403)
    expect((await daemon.ask('GET', '/api/get/nokey', { token })).status).toBe(403)
  })

  test('is throttled after wrong tokens, with Retry-After', async () => {
    for (let count = 0; count < 10; count++)
      await daemon.ask('GET', '/api/whoami', { token: `wrong-${count}` })
    const answer = await daemon.ask('GET', '/api/whoami', { token: 'wrong-10' })
    expect(answer.status).toBe(429)
    expect(Number(answer.fields.get('retry-after'))).toBeGreaterThan(0)
  })

  test('no other origin: nothing is allowed to a page of another site', async () => {
    const fields = { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' }
    const preflight = await daemon.ask('OPTIONS', '/api/user/add', { token: null, fields })
    expect(preflight.status).toBe(405)
    const asked = await daemon.ask('GET', '/api/whoami', { fields })
    for (const answer of [preflight, asked])
      expect([...answer.fields.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  })
})

describe('what cannot be understood', () => {
  test('an unknown path is 404, another method 405 with those that are possible', async () => {
    expect(await daemon.ask('GET', '/api/nothing', { token: null })).toMatchObject({
      status: 404,
      json: { code: 'FLEXI_NO_ROUTE' },
    })
    for (const path of ['/', '/api', '/api/', '/api/get/', '/api/get/a@b/c', '/API/info'])
      expect((await daemon.ask('GET', path, { token: null })).status).toBe(404)
    const wrong = await daemon.ask('GET', '/api/user/add', { token: null })
    expect(wrong.status).toBe(405)
    expect(wrong.fields.get('allow')).toBe('POST')
    expect((await daemon.ask('POST', '/api/alias/a@b', {})).fields.get('allow')).toBe('PATCH, PUT')
  })

  test.each([
    ['no media type', { body: new Uint8Array(2) }, 415],
    ['another media type', { body: '{}', type: 'text/plain' }, 415],
    ['a form', { body: 'name=ada', type: 'application/x-www-form-urlencoded' }, 415],
    ['a coding', { body: '{}', type: 'application/json', fields: { 'Content-Encoding': 'gzip' } }, 415],
    ['no JSON', { body: '{"name":', type: 'application/json' }, 400],
    ['nothing', { body: '', type: 'application/json' }, 400],
    ['no UTF-8', { body: new Uint8Array([34, 255, 34]), type: 'application/json' }, 400],
    ['another shape', { json: [] }, 422],
    ['null', { json: null }, 422],
    ['a key too many', { json: { name: 'ada', admin: true } }, 422],
    [
      'a key that would vanish',
      { body: '{"name":"ada","__proto__":{"groups":[]}}', type: 'application/json' },
      422,
    ],
    ['a wrong type', { json: { name: 7 } }, 422],
  ])('a body that is %s', async (_what, options, status) => {
    const answer = await daemon.ask('POST', '/api/user/add', options)
    expect(answer.status).toBe(status)
    expect((answer.json as { error: string }).error).not.toBe('')
    expect(daemon.accounts.users()).toEqual([])
  })

  test('JSON by another name of its media type is taken', async () => {
    const body = JSON.stringify({ name: 'ada' })
    const type = 'application/vnd.flexi+json; charset=utf-8'
    expect((await daemon.ask('POST', '/api/user/add', { body, type })).status).toBe(200)
  })

  test('a body that is too long is 413, however it is sent', async () => {
    const body = new Uint8Array(16 * 1024 * 1024 + 1).fill(32)
    expect((await daemon.ask('POST', '/api/user/add', { body, type: 'application/json' })).status).toBe(413)
  })

  test.each(['?colour=red', '?limit=x', '?limit=0', '?limit=1&limit=2', '?limit=', '?limit=1e99'])(
    'the query %s is 400',
    async (query) => {
      expect((await daemon.ask('GET', `/api/audit${query}`)).status).toBe(400)
    },
  )

  test('our own faults tell nothing but where to look, and are logged', async () => {
    daemon.control.info = () => {
      throw new TypeError('the password is 1234')
    }
    const answer = await daemon.ask('GET', '/api/info')
    expect(answer.status).toBe(500)
    expect(answer.text).not.toContain('1234')
    const bug = daemon.log.find(({ event }) => event === 'api.bug')
    expect(bug?.fields['message']).toBe('the password is 1234')
    expect((answer.json as { hint: string }).hint).toContain(String(bug?.fields['request']))
  })

  test('no token is in any log line', async () => {
    await daemon.ask('GET', '/api/whoami', { token: 'wrong' })
    await daemon.ask('GET', '/api/nothing')
    expect(JSON.stringify(daemon.log)).not.toContain(daemon.rootToken)
  })
})

describe('artifacts', () => {
  const content = 'an archive'
  const digest = createHash('sha256').update(content).digest('hex')

  /** Sends the head of an upload of a megabyte. */
  const beginUpload = () => {
    const outgoing = request(`${daemon.url}/api/artifacts/${digest}`, {
      method: 'PUT',
      headers: {
        Authorization: `Bearer ${daemon.rootToken}`,
        'Content-Type': 'application/gzip',
        'Content-Length': 1_000_000,
      },
    })
    outgoing.on('error', () => undefined)
    outgoing.flushHeaders()
    return outgoing
  }

  test('are told by their digest, taken in, and there then', async () => {
    const path = `/api/artifacts/${digest}`
    expect(await daemon.ask('HEAD', path)).toMatchObject({ status: 404, text: '' })
    const put = await daemon.ask('PUT', path, { body: content, type: 'application/gzip' })
    expect(put).toMatchObject({ status: 200, text: '' })
    expect((await daemon.ask('HEAD', path)).status).toBe(200)
  })

  test('of another content are 400, under another name too', async () => {
    const type = 'application/octet-stream'
    expect((await daemon.ask('PUT', `/api/artifacts/${digest}`, { body: 'else', type })).status).toBe(400)
    expect((await daemon.ask('PUT', '/api/artifacts/abc', { body: content, type })).status).toBe(400)
    const upper = `/api/artifacts/${digest.toUpperCase()}`
    expect((await daemon.ask('PUT', upper, { body: content, type })).status).toBe(400)
  })

  test('are sent sixteen at a time by one user', async () => {
    const begun = Array.from({ length: 16 }, () => beginUpload())
    const path = `/api/artifacts/${digest}`
    const put = async () => daemon.ask('PUT', path, { body: content, type: 'application/gzip' })
    await expect.poll(async () => (await put()).status).toBe(429)
    expect((await put()).fields.get('retry-after')).toBe('1')
    const token = daemon.token('ada', 'permission:write')
    const other = await daemon.ask('PUT', path, { token, body: content, type: 'application/gzip' })
    expect(other.status).toBe(200)
    for (const outgoing of begun) outgoing.destroy()
    await expect.poll(async () => (await put()).status).toBe(200)
  })

  test('of a client that breaks off leave the daemon as it was', async () => {
    const outgoing = beginUpload()
    await new Promise((resolve) => outgoing.write('some', resolve))
    outgoing.destroy()
    expect((await daemon.ask('HEAD', `/api/artifacts/${digest}`)).status).toBe(404)
    expect(daemon.log.filter(({ event }) => event === 'api.bug')).toEqual([])
  })
})

describe('deployments', () => {
  const part = { name: 'hello', artifact: '0'.repeat(64), config: {} }
  const json = { project: 'shop', parts: [part] }

  test('tell each step in a line, the last being done', async () => {
    daemon.control.events = [
      { event: 'state', state: 'received' },
      { event: 'done', id: 'd1', functions: [], durationMs: 5 },
    ]
    const answer = await daemon.ask('POST', '/api/deployments', { json })
    expect(answer.status).toBe(200)
    expect(answer.fields.get('content-type')).toBe('application/x-ndjson')
    expect(linesOf(answer.text)).toEqual(daemon.control.events)
  })

  test('that cannot begin are an error as any other', async () => {
    daemon.control.events = [new FlexiError('FLEXI_CONFLICT', 'hello@v1 is there with other content')]
    expect(await daemon.ask('POST', '/api/deployments', { json })).toMatchObject({
      status: 409,
      json: { code: 'FLEXI_CONFLICT' },
    })
  })

  test('are told to their end while the daemon stops', async () => {
    daemon.control.events = [
      { event: 'state', state: 'received' },
      { event: 'done', id: 'd1', functions: [], durationMs: 5 },
    ]
    daemon.closing.abort()
    const answer = await daemon.ask('POST', '/api/deployments', { json })
    expect(linesOf(answer.text)).toEqual(daemon.control.events)
  })

  test('that break off tell it in their last line', async () => {
    daemon.control.events = [{ event: 'state', state: 'received' }, new Error('a secret')]
    const answer = await daemon.ask('POST', '/api/deployments', { json })
    expect(linesOf(answer.text).at(-1)).toEqual({
      event: 'failed',
      id: '',
      code: 'FLEXI_BUG',
      message: 'internal error',
      hint: expect.stringContaining("daemon's log"),
      log: [],
    })
    expect(daemon.log.some(({ event }) => event === 'api.bug')).toBe(true)
  })

  test.each([
    [{ ...json, parts: [] }, 'parts'],
    [{ ...json, project: 'Shop' }, 'project'],
    [{ ...json, parts: [{ ...part, artifact: 'abc' }] }, 'parts.0.artifact'],
    [
      { ...json, parts: [{ ...part, config: { instances: { min: 3, max: 2 } } }] },
      'parts.0.config.instances',
    ],
    [{ ...json, domains: ['-a.example'] }, 'domains.0'],
  ])('of another shape say where (%#)', async (wrong, path) => {
    const answer = await daemon.ask('POST', '/api/deployments', { json: wrong })
    expect(answer.status).toBe(422)
    expect((answer.json as { faults: { path: string }[] }).faults[0]?.path).toBe(path)
  })
})

describe('functions', () => {
  beforeEach(async () => {
    await upload('hello@v1')
    await upload('hello@v2')
  })

  test('are listed and shown', async () => {
    expect((await daemon.ask('GET', '/api/functions')).json).toMatchObject([{ name: 'hello' }])
    expect((await daemon.ask('GET', '/api/functions/hello')).json).toMatchObject({
      statuses: [{ version: 'v1' }, { version: 'v2' }],
    })
    expect((await daemon.ask('GET', '/api/functions/none')).status).toBe(404)
  })

  test('have aliases with a second version, a history, and a way back', async () => {
    const path = '/api/functions/hello/aliases/live'
    const second = { version: 'v2', weight: 0.25 }
    const set = await daemon.ask('PUT', path, { json: { version: 'v1', second } })
    expect(set.json).toMatchObject({ alias: 'live', version: 'v1', second, movedBy: 'root' })
    expect((await daemon.ask('GET', `${path}/history`)).json).toMatchObject([{ version: 'v1' }])
    expect((await daemon.ask('POST', '/api/functions/hello/rollback', { json: {} })).status).toBe(200)
    const wrong = { json: { version: 'v1', second: { version: 'v2', weight: 1.5 } } }
    expect((await daemon.ask('PUT', path, wrong)).status).toBe(422)
    expect((await daemon.ask('DELETE', path)).status).toBe(200)
    expect((await daemon.ask('DELETE', path)).status).toBe(404)
  })

  test('are started at the alias live or a version, and stopped whole', async () => {
    const base = '/api/functions/hello'
    expect((await daemon.ask('POST', `${base}/start`)).status).toBe(404)
    await daemon.ask('PUT', `${base}/aliases/live`, { json: { version: 'v1' } })
    expect((await daemon.ask('POST', `${base}/start`)).status).toBe(200)
    expect((await daemon.ask('POST', `${base}/start?version=v2`)).status).toBe(200)
    expect((await daemon.ask('POST', `${base}/stop`)).status).toBe(200)
    const { statuses } = (await daemon.ask('GET', base)).json as { statuses: { state: string }[] }
    expect(statuses.map(({ state }) => state)).toEqual(['stopped', 'stopped'])
  })

  test('have variables, and secrets that are not told', async () => {
    const path = '/api/functions/hello/variables'
    await daemon.ask('PATCH', path, { json: { values: { MODE: 'fast', OLD: 'x' } } })
    await daemon.ask('PATCH', path, { json: { secret: true, values: { KEY: 's3cret', OLD: null } } })
    const answer = await daemon.ask('GET', path)
    expect(answer.json).toMatchObject([
      { name: 'MODE', secret: false, value: 'fast' },
      { name: 'KEY', secret: true },
    ])
    expect(answer.text).not.toContain('s3cret')
    expect((await daemon.ask('PATCH', path, { json: { values: { 'A=B': 'x' } } })).status).toBe(422)
  })

  test('show logs and variables to those of their group alone', async () => {
    const token = daemon.token('reader', 'permission:read')
    for (const what of ['logs', 'variables']) {
      expect((await daemon.ask('GET', `/api/functions/hello/${what}`, { token })).status).toBe(403)
    }
    await daemon.ask('PUT', '/api/functions/hello/group', { json: { group: null } })
    for (const what of ['logs', 'variables']) {
      expect((await daemon.ask('GET', `/api/functions/hello/${what}`, { token })).status).toBe(200)
    }
  })
})

describe('logs', () => {
  const line = (text: string) => ({
    at: 1,
    function: 'hello',
    version: 'v1',
    stream: 'stdout' as const,
    level: 'info' as const,
    text,
  })

  beforeEach(async () => {
    await upload('hello@v1')
    daemon.control.lines = ['one', 'two', 'three'].map(line)
  })

  test('are a line each, the last so many', async () => {
    const answer = await daemon.ask('GET', '/api/functions/hello/logs?limit=2&since=0')
    expect(linesOf(answer.text)).toEqual([line('two'), line('three')])
    expect((await daemon.ask('GET', '/api/functions/hello/logs?limit=0')).text).toBe('')
    expect((await daemon.ask('GET', '/api/functions/none/logs')).status).toBe(404)
  })

  test('are followed until the client goes', async () => {
    const controller = new AbortController()
    const response = await fetch(`${daemon.url}/api/functions/hello/logs?follow&limit=1`, {
      headers: { Authorization: `Bearer ${daemon.rootToken}` },
      signal: controller.signal,
    })
    const reader = response.body?.getReader()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain('"three"')
    controller.abort()
    await expect.poll(() => daemon.control.aborted).toBe(1)
  })

  test('are followed until the daemon begins to stop, and end cleanly', async () => {
    const response = await fetch(`${daemon.url}/api/functions/hello/logs?follow=true&limit=1`, {
      headers: { Authorization: `Bearer ${daemon.rootToken}` },
    })
    daemon.closing.abort()
    expect(linesOf(await response.text())).toEqual([line('three')])
    await expect.poll(() => daemon.control.aborted).toBe(1)
  })
})

describe("the operator's socket", () => {
  const askOperator = async (path: string, fields: Record<string, string> = {}) => {
    const method = path.includes('operator') ? 'POST' : 'GET'
    const asked = request({ socketPath: daemon.socket, method, path, headers: fields }).end()
    const [incoming] = (await once(asked, 'response')) as [IncomingMessage]
    const chunks = (await Readable.from(incoming).toArray()) as Buffer[]
    return { status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString() }
  }

  test('is root without a token', async () => {
    const answer = await askOperator('/api/whoami')
    expect(JSON.parse(answer.text)).toMatchObject({
      user: 'root',
      token: 'local',
      groups: ['permission:root', 'singular:root'],
    })
  })

  test('takes a token that is sent for what it is', async () => {
    const token = daemon.token('ada', 'permission:read')
    const answer = await askOperator('/api/whoami', { Authorization: `Bearer ${token}` })
    expect(JSON.parse(answer.text)).toMatchObject({ user: 'ada' })
    expect((await askOperator('/api/whoami', { Authorization: 'Bearer x' })).status).toBe(403)
  })

  test('takes nothing that was meant for somebody else: what is forwarded here by mistake is nobody', async () => {
    for (const Host of ['hello.example.com', '127.0.0.1', 'localhost.evil.example'])
      expect((await askOperator('/api/whoami', { Host })).status).toBe(421)
  })

  test('alone makes the root token anew', async () => {
    expect((await daemon.ask('POST', '/api/operator/root-token')).status).toBe(403)
    const answer = await askOperator('/api/operator/root-token')
    const { token } = JSON.parse(answer.text) as { token: string }
    expect((await daemon.ask('GET', '/api/whoami')).status).toBe(403)
    expect((await daemon.ask('GET', '/api/whoami', { token })).json).toMatchObject({ user: 'root' })
    expect((await askOperator('/api/operator/root-token', { Authorization: `Bearer ${token}` })).status).toBe(
      403,
    )
  })
})

describe('tokens', () => {
  test('are made with a label and scopes, listed without themselves, and revoked', async () => {
    const token = daemon.token('ada', 'permission:write')
    const made = await daemon.ask('POST', '/api/tokens', {
      token,
      json: { label: 'ci', days: 1, scopes: ['permission:read'] },
    })
    const { token: other, record } = made.json as { token: string; record: { id: string } }
    expect(record).toMatchObject({ user: 'ada', label: 'ci', scopes: ['permission:read'] })
    const listed = await daemon.ask('GET', '/api/tokens', { token })
    expect((listed.json as unknown[]).length).toBe(2)
    expect(listed.text).not.toContain('hash')
    expect(listed.text).not.toContain(other)
    expect((await daemon.ask('GET', '/api/whoami', { token: other })).json).toMatchObject({
      permissions: ['read'],
      token: record.id,
    })
    expect((await daemon.ask('DELETE', `/api/tokens/${record.id}`, { token })).status).toBe(200)
    expect((await daemon.ask('GET', '/api/whoami', { token: other })).status).toBe(403)
    expect((await daemon.ask('DELETE', `/api/tokens/${record.id}`, { token })).status).toBe(404)
  })

  test('of others are listed to admins alone', async () => {
    const token = daemon.token('ada')
    daemon.token('bob')
    expect((await daemon.ask('GET', '/api/tokens?user=bob', { token })).status).toBe(403)
    expect((await daemon.ask('GET', '/api/tokens?user=Ada', { token })).json).toMatchObject([{ user: 'ada' }])
    expect(((await daemon.ask('GET', '/api/tokens')).json as unknown[]).length).toBe(2)
    expect((await daemon.ask('POST', '/api/tokens', { json: {} })).status).toBe(404)
  })
})

describe('the connection', () => {
  test('serves on after a refused upload whose content was never read', async () => {
    const socket = connect(Number(new URL(daemon.url).port), '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    const ended = new Promise((resolve) => socket.on('close', resolve))
    socket.write(
      `POST /api/upload/a@b HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-tar\r\nContent-Length: 5\r\n\r\n12345GET /api/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    )
    await ended
    expect(
      Buffer.concat(chunks)
        .toString()
        .match(/HTTP\/1.1 \d+/g),
    ).toEqual(['HTTP/1.1 401', 'HTTP/1.1 404'])
  })

  test('answers are kept by nobody', async () => {
    const { fields } = await daemon.ask('GET', '/api/whoami')
    expect(fields.get('cache-control')).toBe('no-store')
    expect(fields.get('x-content-type-options')).toBe('nosniff')
  })
})

function linesOf(text: string): unknown[] {
  return text
    .split('\n')
    .filter((each) => each !== '')
    .map((each) => JSON.parse(each) as unknown)
}
