import { generateKeyPairSync } from 'node:crypto'
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Call } from '../../src/daemon/api/schemas/operations.ts'
import { RUN } from './cli.ts'
import { daemonHere, type DaemonHere } from './daemon-here.ts'

type Functions = Call<'functions'>['answer']
type Detail = Call<'getFunction'>['answer']

let here: DaemonHere
beforeAll(async () => {
  here = await daemonHere()
  await here.as('ada', 'login', here.url, '--token', here.rootToken)
})
afterAll(() => here[Symbol.asyncDispose]())

const ada = (...args: string[]) => here.as('ada', ...args)
const adaJson = <T>(...args: string[]) => here.json<T>('ada', ...args)

/** A project of one Lambda function that says `words`. */
const shop = (name: string, words: string, more: Readonly<Record<string, string>> = {}) =>
  here.project(name, {
    'flexi.jsonc': JSON.stringify({
      functions: { [name]: { provider: 'lambda', handler: 'index.handler' } },
      routes: [{ path: '/', to: name }],
    }),
    'index.mjs': `export const handler = async () => ({ statusCode: 200, body: ${JSON.stringify(words)} + (process.env.MORE ?? '') })`,
    ...more,
  })

/** What a function answers at a host name of the daemon's. */
function ask(host: string, path = '/'): Promise<string> {
  const { port } = new URL(here.url)
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers: { host: `${host}.localhost:${port}` } }, (answer) => {
      text(answer).then((body) => resolve(`${answer.statusCode} ${body}`), reject)
    }).on('error', reject)
  })
}

const scratches = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('flexi-deploy-'))

describe('flexi deploy', () => {
  test('builds, uploads, starts, and says what serves where', async () => {
    const folder = await shop('first', 'one')
    const { exit, stdout, stderr } = await ada('deploy', folder)
    expect(exit).toBe(0)
    expect(stdout).toMatch(
      /^✔ first is live at http:\/\/first\.localhost:\d+\/ {2}[\d.]+ m?s\n {2}first@v1 {2}http:\/\/first\.localhost/,
    )
    expect(stderr).toMatch(/first {2}packed {2}\d+ B\n {2}first {2}uploaded {2}/)
    expect(await ask('first')).toBe('200 one')
    expect(await ask('v1.first')).toBe('200 one')
  })

  test('content that is there is not sent again, and is no new version', async () => {
    const folder = await shop('twice', 'one')
    await ada('deploy', folder)
    const { stdout, stderr } = await ada('deploy', folder)
    expect(stderr).toContain('twice  is there already')
    expect(stdout).toContain('twice@v1')
    expect(stdout).toContain('unchanged')
    expect(await adaJson<Detail['statuses']>('versions', 'twice')).toHaveLength(1)
  })

  test('is one JSON object with --json, and nothing else is printed', async () => {
    const folder = await shop('machine', 'one')
    const { exit, stdout, stderr } = await ada('deploy', folder, '--json')
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      project: 'machine',
      alias: 'live',
      daemon: here.url,
      dryRun: false,
      functions: [{ name: 'machine', version: 'v1', changed: true, urls: expect.arrayContaining([]) }],
      archives: [
        { name: 'machine', digest: expect.stringMatching(/^[\da-f]{64}$/), bytes: expect.any(Number) },
      ],
    })
  })

  test('that fails leaves the alias where it was, and shows what the function printed', async () => {
    await ada('deploy', await shop('careful', 'good'))
    const folder = await shop('careful', 'bad', {
      'index.mjs': 'console.log("on my way"); throw new Error("no database")',
    })
    const { exit, stdout, stderr } = await ada('deploy', folder)
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' })
    expect(stderr).toContain('careful │ on my way')
    expect(stderr).toContain('no database')
    expect(stderr).toContain('"live" was not moved.')
    expect(await ask('careful')).toBe('200 good')
    const failed = await ada('deploy', folder, '--json')
    expect(failed.exit).toBe(1)
    const { error } = JSON.parse(failed.stdout) as { error: { code: string; message: string } }
    expect(error.code).toBe('FLEXI_FUNCTION_INIT')
    expect(error.message).toContain('careful printed last:\n')
    expect(error.message).toContain('on my way')
  })

  test('moves the alias that is named, and no other', async () => {
    await ada('deploy', await shop('staged', 'old'))
    await ada('deploy', await shop('staged', 'new'), '--alias', 'preview')
    expect(await ask('staged')).toBe('200 old')
    expect(await ask('preview.staged')).toBe('200 new')
  })

  test('that the daemon would not take is refused before anything is uploaded', async () => {
    await ada('deploy', await shop('taken', 'one'))
    const folder = await shop('taken', 'two')
    const { exit, stderr } = await ada('deploy', folder, '--project', 'another')
    expect(exit).toBe(1)
    expect(stderr).toContain('taken belongs to the project taken')
    expect(stderr).not.toContain('uploaded')
  })

  test('--dry-run says what would be, and changes nothing', async () => {
    const folder = await shop('dry', 'one')
    const { exit, stdout } = await ada('deploy', folder, '--dry-run')
    expect(exit).toBe(0)
    expect(stdout).toContain('✔ dry could be deployed')
    expect((await adaJson<Functions>('functions', 'list')).map(({ name }) => name)).not.toContain('dry')
  })

  test('--function deploys what is named alone; a misspelt name is answered with the right one', async () => {
    const folder = await here.project('pair', {
      'flexi.jsonc': JSON.stringify({
        functions: {
          left: { provider: 'lambda', handler: 'index.handler' },
          right: { provider: 'lambda', handler: 'index.handler' },
        },
        routes: [{ path: '/', to: 'left' }],
      }),
      'index.mjs': `export const handler = async () => ({ statusCode: 200, body: 'both' })`,
    })
    const { functions } = await adaJson<{ functions: { name: string }[] }>(
      'deploy',
      folder,
      '--function',
      'right',
    )
    expect(functions.map(({ name }) => name)).toEqual(['right'])
    const { exit, stderr } = await ada('deploy', folder, '--function', 'rihgt')
    expect(exit).toBe(66)
    expect(stderr).toContain('Did you mean right?')
  })

  test('takes the routes and their static folders along', async () => {
    const folder = await here.project('site', {
      'flexi.jsonc': JSON.stringify({
        functions: { api: { provider: 'lambda', handler: 'index.handler' } },
        routes: [
          { path: '/api', to: 'api' },
          { path: '/', to: './public' },
        ],
      }),
      'index.mjs': `export const handler = async () => ({ statusCode: 200, body: 'from the function' })`,
      'public/index.html': '<h1>from a file</h1>',
    })
    const { exit, stdout } = await ada('deploy', folder)
    expect(exit).toBe(0)
    expect(stdout).toContain('site@v1')
    expect(await ask('site', '/api')).toBe('200 from the function')
    expect(await ask('site', '/')).toContain('from a file')
  })

  test('settings of flexi.jsonc reach the version, and flags win over them', async () => {
    const folder = await here.project('tuned', {
      'flexi.jsonc': JSON.stringify({
        functions: {
          tuned: {
            provider: 'lambda',
            handler: 'index.handler',
            deploy: { network: 'egress', max: 3, idle: 60, processes: 40, temporary: 8 },
          },
        },
        routes: [{ path: '/', to: 'tuned' }],
      }),
      'index.mjs': `export const handler = async () => ({ statusCode: 200, body: 'ok' })`,
    })
    const flags = [
      '--network',
      'none',
      '--min',
      '1',
      '--idle',
      '90s',
      '--health',
      '/ok',
      '--health-timeout',
      '5s',
    ]
    expect((await ada('deploy', folder, ...flags)).exit).toBe(0)
    const answer = await fetch(`${here.url}/api/get/tuned@v1`, {
      headers: { authorization: `Bearer ${here.rootToken}` },
    })
    expect(await answer.json()).toMatchObject({
      config: {
        provider: 'lambda',
        network: 'none',
        instances: { min: 1, max: 3, idleMs: 90_000 },
        limits: { processes: 40, temporaryMb: 8 },
        health: { path: '/ok', timeoutMs: 5000 },
      },
    })
  })

  test('--health-timeout is for the health of flexi.jsonc too', async () => {
    const healthy = (more: object) =>
      here.project('healthy', {
        'flexi.jsonc': JSON.stringify({
          functions: { healthy: { provider: 'lambda', handler: 'index.handler', ...more } },
        }),
        'index.mjs': `export const handler = async () => ({ statusCode: 503, body: 'not yet' })`,
      })
    const folder = await healthy({ deploy: { health: '/ok' } })
    const { exit, stderr } = await ada('deploy', folder, '--health-timeout', '1s')
    expect(exit).toBe(1)
    expect(stderr).toContain('within 1 s: GET /ok answered 503')
    expect(stderr).toContain('--health-timeout')
  })

  test.each([
    [['--health-timeout', '5s'], '--health-timeout has nothing to wait for'],
    [['--health', 'ok'], '--health ok is no path'],
    [['--min', '5', '--max', '2'], 'torn cannot have 5 instances at least and 2 at most'],
  ])('%j is refused with the words of the command line', async (words, message) => {
    const { exit, stderr } = await ada('deploy', await shop('torn', 'one'), ...words)
    expect(exit).toBe(2)
    expect(stderr).toContain(message)
  })

  test('--sign signs with an Ed25519 key; a key that nobody trusts, and a file that is none, are refused', async () => {
    const folder = await shop('signed', 'one')
    const { exit, stderr } = await ada('deploy', folder, '--sign', here.signingKey)
    expect({ exit, signed: stderr.includes(', signed') }).toEqual({ exit: 0, signed: true })
    const key = join(here.folder, 'other.pem')
    const other = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
    await writeFile(key, other)
    expect(await ada('deploy', await shop('signed', 'two'), '--sign', key)).toMatchObject({ exit: 77 })
    await writeFile(key, 'no key')
    const refused = await ada('deploy', folder, '--sign', key)
    expect(refused.exit).toBe(77)
    expect(await ask('signed')).toBe('200 one')
    expect((await ada('deploy', folder, '--sign', '/nowhere.pem')).exit).toBe(66)
  })

  test('a folder with nothing in it, and a configuration at fault, are said before anything is sent', async () => {
    const empty = await here.project('nothing', { 'readme.txt': '' })
    expect(await ada('deploy', empty)).toMatchObject({ exit: 66 })
    const faulty = await here.project('faulty', { 'flexi.jsonc': '{ "functions": { "a": {} } }' })
    expect(await ada('deploy', faulty)).toMatchObject({ exit: 78 })
    const broken = await shop('unbuilt', 'one', { 'index.mjs': 'export const handler = (' })
    const unbuilt = await ada('deploy', broken)
    expect(unbuilt.exit).toBe(1)
    expect(unbuilt.stderr).toContain('index.mjs')
  })

  test('without a login nothing is built', async () => {
    const { exit, stderr } = await here.as('nobody', 'deploy', await shop('unasked', 'one'))
    expect(exit).toBe(2)
    expect(stderr).toContain('no daemon is named')
  })

  test('leaves nothing behind in the folder for temporary files', async () => {
    const before = scratches()
    await ada('deploy', await shop('tidy', 'one'))
    expect(scratches().filter((name) => !before.includes(name))).toEqual([])
  })

  test('Ctrl-C gives up: the alias stays, and nothing is left behind', async () => {
    await ada('deploy', await shop('slow', 'good'))
    const before = scratches()
    const folder = await shop('slow', 'late', {
      'index.mjs': `console.log('waiting'); await new Promise((resolve) => setTimeout(resolve, 8000)); export const handler = async () => ({ statusCode: 200, body: 'late' })`,
    })
    const child = spawn(process.execPath, [RUN, 'deploy', folder], {
      env: {
        ...process.env,
        FLEXI_CONFIG_DIR: join(here.folder, 'settings/ada'),
        FLEXI_TOKEN: '',
        FLEXI_DAEMON: '',
      },
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
    const exit = new Promise((resolve) => child.on('close', resolve))
    await expect.poll(() => said).toContain('slow │ waiting')
    child.kill('SIGINT')
    expect(await exit).toBe(130)
    expect(await ask('slow')).toBe('200 good')
    await expect
      .poll(
        async () =>
          (await adaJson<Call<'deployments'>['answer']>('deployments', '--project', 'slow'))[0]?.state,
      )
      .toBe('failed')
    expect(scratches().filter((name) => !before.includes(name))).toEqual([])
  })
})

describe('what is deployed', () => {
  test('goes back to the version before, or to one that is named', async () => {
    await ada('deploy', await shop('back', 'one'))
    await ada('deploy', await shop('back', 'two'))
    await ada('deploy', await shop('back', 'three'))
    expect((await ada('rollback', 'back')).stdout).toBe('back@live → v2\n')
    expect(await ask('back')).toBe('200 two')
    expect((await ada('rollback', 'back', '--to', 'v1')).stdout).toBe('back@live → v1\n')
    expect(await ask('back')).toBe('200 one')
    const history = await adaJson<Call<'aliasHistory'>['answer']>('alias', 'history', 'back', 'live')
    expect(history.map(({ version }) => version).slice(0, 3)).toEqual(['v2', 'v3', 'v2'])
    const { exit, stderr } = await ada('rollback', 'back', '--to', 'v9')
    expect(exit).toBe(66)
    expect(stderr).toContain('v9')
  })

  test('shares requests between two versions', async () => {
    await ada('deploy', await shop('canary', 'one'))
    await ada('deploy', await shop('canary', 'two'), '--alias', 'next')
    const set = await ada('alias', 'set', 'canary', 'live', 'v1', '--second', 'v2', '--weight', '50%')
    expect(set.stdout).toBe('canary@live → v1 50 %, v2 50 %\n')
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask('canary')))
    expect(new Set(answers)).toEqual(new Set(['200 one', '200 two']))
    expect((await ada('alias', 'list', 'canary')).stdout).toMatch(/live +v1 50 %, v2 50 %/)
    await ada('alias', 'set', 'canary', 'live', 'v2')
    expect(await ask('canary')).toBe('200 two')
    expect((await ada('alias', 'set', 'canary', 'live', 'v1', '--second', 'v2')).exit).toBe(2)
  })

  test('loses an alias after a yes alone', async () => {
    await ada('deploy', await shop('aliased', 'one'))
    await ada('alias', 'set', 'aliased', 'extra', 'v1')
    expect(await ada('alias', 'remove', 'aliased', 'extra')).toMatchObject({ exit: 2 })
    expect(await ask('extra.aliased')).toBe('200 one')
    expect(await ada('alias', 'remove', 'aliased', 'extra', '--json')).toMatchObject({ exit: 2 })
    expect((await ada('alias', 'remove', '--yes', 'aliased', 'extra')).exit).toBe(0)
    expect(await ask('extra.aliased')).toMatch(/^403 /)
  })

  test('stops, starts, and is shown as what it is', async () => {
    await ada('deploy', await shop('switch', 'one'))
    expect((await ada('functions', 'stop', 'switch')).stdout).toBe('stopped: switch\n')
    expect((await ada('functions', 'status', 'switch')).stdout).toMatch(/v1 +stopped/)
    expect(await ask('switch')).toMatch(/^403 /)
    expect((await ada('functions', 'start', 'switch@v1')).exit).toBe(0)
    expect(await ask('switch')).toBe('200 one')
    expect(await adaJson<Detail['statuses']>('functions', 'status', 'switch@live')).toMatchObject([
      { version: 'v1', state: 'running', instances: 1 },
    ])
    expect((await ada('functions', 'status', 'switch@v7')).exit).toBe(66)
    const shown = await ada('functions', 'show', 'switch')
    expect(shown.stdout).toContain('provider  lambda')
    expect(shown.stdout).toMatch(/aliases {3}live → v1/)
  })

  test('belongs to a group that is named', async () => {
    await ada('deploy', await shop('owned', 'one'))
    expect((await ada('functions', 'group', 'owned', 'custom:team')).stdout).toBe('owned is of custom:team\n')
    expect(await adaJson<Detail>('functions', 'show', 'owned')).toMatchObject({ group: 'custom:team' })
    await ada('functions', 'group', 'owned', '--none')
    expect(await adaJson<Detail>('functions', 'show', 'owned')).not.toHaveProperty('group')
    expect((await ada('functions', 'group', 'owned')).exit).toBe(2)
  })

  test('is gone when it is removed, and a version alone can be', async () => {
    await ada('deploy', await shop('gone', 'one'))
    await ada('deploy', await shop('gone', 'two'))
    expect(await ada('functions', 'remove', 'gone')).toMatchObject({ exit: 2 })
    expect((await ada('functions', 'remove', '--yes', 'gone@v1')).exit).toBe(0)
    expect(await adaJson<Detail['statuses']>('versions', 'gone')).toHaveLength(1)
    expect((await ada('functions', 'remove', '--yes', 'gone')).exit).toBe(0)
    expect(await ask('gone')).toMatch(/^403 /)
    expect((await ada('functions', 'remove', '--yes', 'gone')).exit).toBe(66)
  })

  test('is found again although its name is misspelt', async () => {
    await ada('deploy', await shop('checkout', 'one'))
    for (const words of [
      ['versions', 'chekout'],
      ['logs', 'chekout'],
      ['rollback', 'chekout'],
      ['env', 'list', 'chekout'],
    ]) {
      const { exit, stderr } = await ada(...words)
      expect({ words, exit }).toEqual({ words, exit: 66 })
      expect(stderr).toMatch(/Did you mean "?checkout"?/)
    }
    expect((await ada('versions', 'checkout@v1')).stderr).toContain('Write the function alone: checkout.')
  })
})

describe('variables', () => {
  test('are seen by the next request, and taken away again', async () => {
    await ada('deploy', await shop('varied', 'one'))
    expect((await ada('env', 'set', 'varied', 'MORE= and more', 'OTHER=a=b')).stdout).toBe(
      'set: MORE, OTHER\n',
    )
    await expect.poll(() => ask('varied')).toBe('200 one and more')
    const list = await ada('env', 'list', 'varied')
    expect(list.stdout).toMatch(/OTHER +a=b/)
    expect((await ada('env', 'unset', 'varied', 'MORE', 'OTHER')).stdout).toBe('unset: MORE, OTHER\n')
    await expect.poll(() => ask('varied')).toBe('200 one')
  })

  test('come from a file', async () => {
    await ada('deploy', await shop('filed', 'one'))
    const file = join(here.folder, '.env.production')
    await writeFile(file, '# production\nMORE=" from a file"\nB=2\n')
    expect((await ada('env', 'set', 'filed', '--env-file', file)).stdout).toBe('set: B, MORE\n')
    await expect.poll(() => ask('filed')).toBe('200 one from a file')
  })

  test.each([
    [['env', 'set', 'x'], 'there are no variables'],
    [['env', 'set', 'x', 'NAME'], 'NAME has no value'],
    [['env', 'set', 'x', '1A=2'], 'is no name of a variable'],
    [['env', 'unset', 'x', 'A=1'], 'is no name of a variable'],
    [['secrets', 'set', 'x'], 'name one secret'],
  ])('%j is refused', async (words, message) => {
    const { exit, stderr } = await ada(...words)
    expect(exit).toBe(2)
    expect(stderr).toContain(message)
  })

  test('of a function that is not there yet are kept, with a word about it', async () => {
    await ada('deploy', await shop('spelt', 'one'))
    const { exit, stderr } = await ada('env', 'set', 'spetl', 'A=1')
    expect(exit).toBe(0)
    expect(stderr).toContain('spetl is not deployed yet')
    expect(stderr).toContain('did you mean spelt?')
  })

  test('that are not set cannot be taken away', async () => {
    await ada('env', 'set', 'spelt', 'A=1')
    const { exit, stdout, stderr } = await ada('env', 'unset', 'spelt', 'A', 'AA')
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: 'unset: A\n' })
    expect(stderr).toContain('not set: AA')
  })

  test('that are secret are not empty: what was to print one failed', async () => {
    const { exit, stderr } = await here.run('ada', ['secrets', 'set', 'spelt', 'KEY'], { input: '\n' })
    expect(exit).toBe(2)
    expect(stderr).toContain('the value of KEY is empty')
  })

  test('that are secret reach the function, and nobody else', async () => {
    await ada('deploy', await shop('secret', 'one'))
    const options = { input: 's3cret-value\n' }
    const set = await here.run('ada', ['secrets', 'set', 'secret', 'MORE'], options)
    expect(set).toMatchObject({ exit: 0, stdout: 'set: MORE\n' })
    await expect.poll(() => ask('secret')).toBe('200 ones3cret-value')
    for (const words of [
      ['secrets', 'list', 'secret'],
      ['env', 'list', 'secret'],
      ['functions', 'show', 'secret'],
      ['audit'],
    ]) {
      const shown = await ada(...words, '--json')
      expect(shown.exit).toBe(0)
      expect(shown.stdout).not.toContain('s3cret-value')
    }
    expect((await ada('env', 'list', 'secret')).stdout).toMatch(/MORE +\(secret\)/)
    expect((await ada('secrets', 'unset', 'secret', 'MORE')).exit).toBe(0)
    await expect.poll(() => ask('secret')).toBe('200 one')
  })

  test('a secret as an argument is refused, and not shown again', async () => {
    const { exit, stderr } = await ada('secrets', 'set', 'secret', 'MORE=s3cret-value')
    expect(exit).toBe(2)
    expect(stderr).toContain('pipe the value in')
    expect(stderr).not.toContain('s3cret-value')
  })
})

describe('flexi logs', () => {
  const noisy = () =>
    shop('noisy', 'one', {
      'index.mjs': `let n = 0; export const handler = async () => { console.log('line ' + ++n); return { statusCode: 200, body: 'ok' } }`,
    })

  test('prints what was printed, the last lines or since a time', async () => {
    await ada('deploy', await noisy())
    for (let count = 0; count < 3; count++) await ask('noisy')
    await expect.poll(async () => (await ada('logs', 'noisy')).stdout).toContain('line 3')
    const { stdout } = await ada('logs', '--since', '10m', 'noisy')
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d v1 . /m)
    expect(stdout.indexOf('line 1')).toBeLessThan(stdout.indexOf('line 3'))
    expect((await ada('logs', '-n', '2', 'noisy')).stdout.trim().split('\n')).toHaveLength(2)
    const lines = (await ada('logs', '--json', 'noisy@v1')).stdout.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as object).at(-1)).toMatchObject({
      function: 'noisy',
      version: 'v1',
    })
    expect((await ada('logs', '--since', 'yesterday', 'noisy')).exit).toBe(2)
  })

  test('a stack stands line by line below what it is about', async () => {
    const folder = await shop('stacked', 'one', {
      'index.mjs': `export const handler = async () => { throw new Error('no database') }`,
    })
    await ada('deploy', folder)
    await ask('stacked')
    await expect
      .poll(async () => (await ada('logs', 'stacked')).stdout)
      .toMatch(/platform {2}threw: Error: no database\n {8}at /)
  })

  test('-f goes on with what comes, and ends when its reader does', async () => {
    await ada('deploy', await noisy())
    const child = spawn(process.execPath, [RUN, 'logs', '-f', '-n', '0', 'noisy'], {
      env: {
        ...process.env,
        FLEXI_CONFIG_DIR: join(here.folder, 'settings/ada'),
        FLEXI_TOKEN: '',
        FLEXI_DAEMON: '',
      },
    })
    let printed = ''
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
    const exit = new Promise((resolve) => child.on('close', resolve))
    await expect
      .poll(async () => {
        await ask('noisy')
        return printed
      })
      .toMatch(/line \d+/)
    child.stdout.destroy()
    await expect.poll(async () => (await ask('noisy'), child.exitCode), { interval: 200 }).toBe(0)
    await exit
    expect(said).toBe('')
  })
})
