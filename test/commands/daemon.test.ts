import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { cli } from './cli.ts'
import { startDaemonProcess, type DaemonProcess } from './daemon-process.ts'
import { descendants, isAlive, WAIT } from './proxy-process.ts'

let folder: string
let data: string
let project: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flexi-daemon-'))
  await chmod(folder, 0o755)
  data = join(folder, 'data')
  project = join(folder, 'shop')
  await mkdir(project)
  await writeFile(
    join(project, 'flexi.jsonc'),
    '{ "functions": { "hello": { "provider": "lambda", "handler": "hello.handler" } } }',
  )
  await write('one')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const write = (text: string): Promise<void> =>
  writeFile(join(project, 'hello.mjs'), `export const handler = async () => ${JSON.stringify(text)}\n`)

async function deploy(daemon: DaemonProcess, ...words: string[]): Promise<string> {
  const result = await cli(['deploy', project, '--daemon', daemon.url, ...words], {
    environment: { FLEXI_TOKEN: daemon.rootToken, XDG_CONFIG_HOME: join(folder, 'config') },
  })
  if (result.exit !== 0) throw new Error(result.stderr + result.stdout)
  return result.stdout
}

describe('a daemon', () => {
  test('serves what is deployed to it by its names, and goes back', async () => {
    await using daemon = await startDaemonProcess(data)
    await deploy(daemon)
    expect(await daemon.get('hello.localhost')).toEqual({ status: 200, body: 'one' })
    await write('two')
    await deploy(daemon)
    expect((await daemon.get('hello.localhost')).body).toBe('two')
    expect((await daemon.get('v1.hello.localhost')).body).toBe('one')
    const back = await cli(['rollback', 'hello', '--daemon', daemon.url], {
      environment: { FLEXI_TOKEN: daemon.rootToken },
    })
    expect(back.stderr).toBe('')
    expect((await daemon.get('live.hello.localhost')).body).toBe('one')
    expect((await daemon.get('other.localhost')).status).toBe(403)
    expect((await daemon.get('localhost', '/_flexi/healthz')).body).toBe('{"status":"ok"}')
  })

  test('killed at once after a deployment, it serves that deployment again', async () => {
    const first = await startDaemonProcess(data)
    await deploy(first)
    first.signal('SIGKILL')
    await first.exit
    await using second = await startDaemonProcess(data)
    expect((await second.get('hello.localhost')).body).toBe('one')
    // Printed by the very first start alone.
    expect(second.rootToken).toBe('')
  })

  test('exchanges who serves at SIGHUP, without one refused request', async () => {
    await using daemon = await startDaemonProcess(data)
    await deploy(daemon)
    const before = daemon.server()
    let asking = true
    const statuses = new Set<number>()
    const asked = (async () => {
      while (asking) statuses.add((await daemon.get('hello.localhost')).status)
    })()
    const { exit, stdout } = await cli(['daemon', 'restart', '--data-dir', data])
    expect({ exit, stdout }).toMatchObject({ exit: 0 })
    await expect.poll(() => isAlive(before), WAIT).toBe(false)
    asking = false
    await asked
    expect([...statuses]).toEqual([200])
    expect(daemon.server()).not.toBe(before)
  })

  test('a crash of who serves is made good by another', async () => {
    await using daemon = await startDaemonProcess(data)
    await deploy(daemon)
    const before = daemon.server()
    process.kill(before, 'SIGKILL')
    await expect.poll(() => daemon.server(), WAIT).not.toBe(before)
    expect((await daemon.get('hello.localhost')).body).toBe('one')
  })

  test('a crash while its successor starts leaves it to that one, which goes on serving', async () => {
    await using daemon = await startDaemonProcess(data)
    await deploy(daemon)
    const before = daemon.server()
    const children = descendants(daemon.pid).length
    daemon.signal('SIGHUP')
    await expect.poll(() => descendants(daemon.pid).length, WAIT).toBeGreaterThan(children)
    process.kill(before, 'SIGKILL')
    await expect.poll(() => daemon.server(), WAIT).not.toBe(before)
    expect((await daemon.get('hello.localhost')).body).toBe('one')
    const { exit, stderr } = await cli(['daemon', 'restart', '--data-dir', data])
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    expect((await daemon.get('hello.localhost')).body).toBe('one')
  })

  test('of two that are started on the same folder at once, one serves', async () => {
    const both = await Promise.allSettled([startDaemonProcess(data), startDaemonProcess(data)])
    for (const one of both) if (one.status === 'fulfilled') await one.value[Symbol.asyncDispose]()
    const refused = both.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []))
    expect(refused).toEqual([expect.stringMatching(/a daemon runs on .*, as process \d+/)])
  })

  test('a second one on the same folder is refused with what to do', async () => {
    await using daemon = await startDaemonProcess(data)
    const second = await cli(['daemon', 'start', '--data-dir', data, '--port', '0', '--sandbox', 'none'])
    expect(second.exit).toBe(1)
    expect(second.stderr).toContain(`as process ${daemon.pid}`)
    expect(second.stderr).toContain('flexi daemon stop')
  })

  test('the root token is made anew by the operator, and the old one is worth nothing then', async () => {
    await using daemon = await startDaemonProcess(data)
    expect(daemon.rootToken).toMatch(/^[\w-]{43}$/)
    const whoami = (token: string): Promise<number> =>
      fetch(`${daemon.url}/api/whoami`, { headers: { Authorization: `Bearer ${token}` } }).then(
        ({ status }) => status,
      )
    expect(await whoami(daemon.rootToken)).toBe(200)
    const { stdout } = await cli(['daemon', 'root-token', '--data-dir', data])
    expect(await whoami(stdout.trim())).toBe(200)
    expect(await whoami(daemon.rootToken)).toBe(403)
  })

  test('in the background: started, told of, and stopped', async () => {
    const words = ['--data-dir', data]
    const start = await cli(['daemon', 'start', '--detach', '--port', '0', '--sandbox', 'none', ...words])
    expect(start.exit).toBe(0)
    const token = /^root token: (\S+)$/m.exec(start.stderr)?.[1] ?? ''
    expect(token).not.toBe('')
    const status = await cli(['daemon', 'status', '--json', ...words])
    const note = JSON.parse(status.stdout) as { readonly pid: number; readonly url: string }
    expect(isAlive(note.pid)).toBe(true)
    // Whoever may read the log is not root for that.
    const log = join(data, 'logs/daemon.log')
    expect(await readFile(log, 'utf8')).not.toContain(token)
    expect((await stat(log)).mode & 0o777).toBe(0o600)
    expect((await cli(['daemon', 'stop', ...words])).exit).toBe(0)
    expect(isAlive(note.pid)).toBe(false)
    expect((await cli(['daemon', 'status', ...words])).exit).toBe(69)
  })

  test('what is secret in its folder is its own', async () => {
    await using _daemon = await startDaemonProcess(data)
    for (const file of ['flexi.db', 'key']) expect((await stat(join(data, file))).mode & 0o077).toBe(0)
  })

  test('a folder that it cannot write in is refused with what to do', async () => {
    for (const more of [[], ['--detach']]) {
      const file = join(project, 'hello.mjs')
      const { exit, stderr } = await cli(['daemon', 'start', '--port', '0', '--data-dir', file, ...more])
      expect(exit).toBe(2)
      expect(stderr).toContain('a file is in the way')
      expect(stderr).toContain('--data-dir')
    }
  })

  test('a domain that is none is refused before anything starts', async () => {
    const words = ['daemon', 'start', '--data-dir', data, '--port', '0', '--domain', 'a_b..c']
    const { exit, stderr } = await cli(words)
    expect(exit).toBe(2)
    expect(stderr).toContain('is no domain name')
  })
})
