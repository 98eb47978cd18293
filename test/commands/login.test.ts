import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { RUN } from './cli.ts'
import { daemonHere, type DaemonHere } from './daemon-here.ts'

let here: DaemonHere
beforeAll(async () => {
  here = await daemonHere()
})
afterAll(() => here[Symbol.asyncDispose]())

const credentials = (user: string): string => join(here.folder, 'settings', user, 'credentials.json')

describe('flexi login', () => {
  test('asks the daemon whose token it is, keeps it for its user alone, and never prints it', async () => {
    const { exit, stdout, stderr } = await here.as('root', 'login', here.url, '--token', here.rootToken)
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    expect(stdout).toContain(`✔ ${here.url} as root`)
    expect(stdout).not.toContain(here.rootToken)
    expect((await stat(credentials('root'))).mode & 0o777).toBe(0o600)
    expect(JSON.parse(await readFile(credentials('root'), 'utf8'))).toEqual({
      current: here.url,
      daemons: { [here.url]: { token: here.rootToken, user: 'root' } },
    })
    expect(await here.json('root', 'whoami')).toMatchObject({ user: 'root', daemon: here.url })
  })

  test('takes the token from standard input, with a line end or without', async () => {
    const piped = await here.run('piped', ['login', here.url], { input: `${here.rootToken}\n` })
    expect(piped).toMatchObject({ exit: 0, stderr: '' })
    expect((await here.as('piped', 'whoami')).stdout).toContain('root at')
  })

  test('takes the token from FLEXI_TOKEN', async () => {
    const environment = { FLEXI_TOKEN: here.rootToken }
    expect((await here.run('named', ['login', here.url], { environment })).exit).toBe(0)
  })

  test('keeps nothing of a token that the daemon does not know', async () => {
    const { exit, stderr } = await here.as(
      'stranger',
      'login',
      here.url,
      '--token',
      'not-a-token-of-this-daemon',
    )
    expect(exit).not.toBe(0)
    expect(stderr).not.toContain('not-a-token-of-this-daemon')
    await expect(stat(credentials('stranger'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('refuses what cannot be a token without showing it', async () => {
    const { exit, stderr } = await here.run('stranger', ['login', here.url], { input: 'two words here' })
    expect(exit).toBe(2)
    expect(stderr).toContain('that is no token')
    expect(stderr).not.toContain('two words')
  })

  test('says that a token travels in the open where it does', async () => {
    const { stderr } = await here.as(
      'open',
      'login',
      'http://192.0.2.1:9',
      '--token',
      here.rootToken,
      '--help',
    )
    expect(stderr).toBe('')
    // Nobody is asked at that address: the name is not known, and the warning comes before.
    const { exit, stderr: warned } = await here.as(
      'open',
      'login',
      'http://no.such.host.invalid',
      '--token',
      here.rootToken,
    )
    expect(exit).toBe(69)
    expect(warned).toContain('http://no.such.host.invalid is not encrypted')
    expect(warned).toContain('no machine is called no.such.host.invalid')
  })

  test('names another address where no daemon listens, and who is none', async () => {
    const server = createServer((_, outgoing) => void outgoing.writeHead(404).end('nothing here')).listen(0)
    const url = `http://localhost:${(server.address() as AddressInfo).port}`
    const stranger = await here.as('lost', 'login', url, '--token', here.rootToken)
    server.close()
    expect(stranger).toMatchObject({ exit: 69 })
    expect(stranger.stderr).toContain(`what answers at ${url} is no flexi daemon`)
    const nobody = await here.as('lost', 'login', url, '--token', here.rootToken)
    expect(nobody.stderr).toContain(`no daemon listens at ${url}`)
    expect(nobody.stderr).toContain('flexi daemon start')
  })

  test.skipIf(process.platform !== 'linux')(
    'takes a token given as an argument out of the list of processes',
    async () => {
      const server = createServer(() => undefined).listen(0)
      const url = `http://localhost:${(server.address() as AddressInfo).port}`
      const asked = new Promise((resolve) => server.once('request', resolve))
      const child = spawn(process.execPath, [RUN, 'login', url, '--token', here.rootToken], {
        stdio: 'ignore',
      })
      await asked
      const line = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8')
      child.kill()
      server.close().closeAllConnections()
      expect(line).toContain('flexi')
      expect(line).not.toContain(here.rootToken)
    },
  )
})

describe('which daemon is asked', () => {
  test('is the one of --daemon, then FLEXI_DAEMON, then the login', async () => {
    await here.as('chooser', 'login', here.url, '--token', here.rootToken)
    const wrong = 'http://localhost:9'
    const environment = { FLEXI_DAEMON: wrong }
    expect((await here.run('chooser', ['whoami'], { environment })).stderr).toContain(wrong)
    expect((await here.run('chooser', ['whoami', '--daemon', here.url], { environment })).exit).toBe(0)
    expect((await here.as('chooser', 'whoami')).exit).toBe(0)
  })

  test('a token that was kept goes to the daemon it came from, and to no other', async () => {
    await here.as('chooser', 'login', here.url, '--token', here.rootToken)
    const seen: unknown[] = []
    const server = createServer((incoming, outgoing) => {
      seen.push(incoming.headers.authorization)
      outgoing.end()
    }).listen(0)
    const other = `http://localhost:${(server.address() as AddressInfo).port}`
    const { exit, stderr } = await here.as('chooser', 'whoami', '--daemon', other)
    server.close()
    expect({ exit, seen }).toEqual({ exit: 77, seen: [] })
    expect(stderr).toContain(`you are not logged in to ${other}`)
  })

  test('is nobody where none is named', async () => {
    const { exit, stderr } = await here.as('nobody', 'whoami')
    expect(exit).toBe(2)
    expect(stderr).toContain('no daemon is named')
    expect(stderr).toContain('flexi login URL')
  })

  test("the operator's socket needs no token", async () => {
    const { exit, stdout } = await here.as('operator', 'whoami', '--daemon', `unix:${here.daemon.socket}`)
    expect(exit).toBe(0)
    expect(stdout).toContain('root at unix:')
  })

  test('a token that is no good is an error with an exit code of its own', async () => {
    const environment = { FLEXI_TOKEN: 'x'.repeat(43), FLEXI_DAEMON: here.url }
    const { exit, stdout } = await here.run('nobody', ['whoami', '--json'], { environment })
    expect(exit).not.toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'FLEXI_FORBIDDEN' } })
  })
})

describe('the file of logins', () => {
  test('that others could read is closed, and its user is told once', async () => {
    await here.as('careless', 'login', here.url, '--token', here.rootToken)
    await chmod(credentials('careless'), 0o644)
    const { exit, stderr } = await here.as('careless', 'whoami')
    expect(exit).toBe(0)
    expect(stderr).toContain('could be read by other users')
    expect((await stat(credentials('careless'))).mode & 0o777).toBe(0o600)
    expect((await here.as('careless', 'whoami')).stderr).toBe('')
  })

  test('that is spoilt is named, and left as it is', async () => {
    await mkdir(join(here.folder, 'settings/spoilt'), { recursive: true })
    await writeFile(credentials('spoilt'), 'no json', { mode: 0o600 })
    const { exit, stderr } = await here.as('spoilt', 'whoami')
    expect(exit).toBe(78)
    expect(stderr).toContain('credentials.json is no file of flexi')
    expect(await readFile(credentials('spoilt'), 'utf8')).toBe('no json')
  })
})

describe('flexi logout', () => {
  test('forgets the daemon that commands mean, and then the next one is meant', async () => {
    await here.as('leaver', 'login', `unix:${here.daemon.socket}`, '--token', here.rootToken)
    await here.as('leaver', 'login', here.url, '--token', here.rootToken)
    expect((await here.as('leaver', 'logout')).stdout).toBe(`forgotten: ${here.url}\n`)
    expect(await here.json('leaver', 'whoami')).toMatchObject({ daemon: `unix:${here.daemon.socket}` })
    expect((await here.as('leaver', 'logout')).exit).toBe(0)
    expect((await here.as('leaver', 'logout')).stderr).toContain('you are not logged in')
  })

  test('ends the token too when it is asked to', async () => {
    const environment = { FLEXI_TOKEN: here.rootToken, FLEXI_DAEMON: here.url }
    await here.run('x', ['users', 'add', 'leaver', '-g', 'read'], { environment })
    const made = await here.run('x', ['tokens', 'create', '--user', 'leaver'], { environment })
    const token = made.stdout.trim()
    await here.as('other', 'login', here.url, '--token', token)
    const { exit, stdout } = await here.as('other', 'logout', '--revoke')
    expect(exit).toBe(0)
    expect(stdout).toContain('worth nothing any more')
    expect((await here.as('other', 'whoami', '--daemon', here.url, '--token', token)).exit).not.toBe(0)
  })
})

const SCRIPT = spawnSync('script', ['--version']).status === 0

test.skipIf(!SCRIPT)(
  `on a terminal the token is asked for, and not shown${SCRIPT ? '' : ' (script is not installed)'}`,
  async () => {
    const command = `${process.execPath} ${RUN} login ${here.url}`
    const child = spawn('script', ['--quiet', '--flush', '--return', '--command', command, '/dev/null'], {
      env: { ...process.env, FLEXI_CONFIG_DIR: join(here.folder, 'settings/typist'), FLEXI_TOKEN: '' },
    })
    let shown = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
    const exit = new Promise((resolve) => child.on('close', resolve))
    await expect.poll(() => shown).toContain('Token for')
    child.stdin.write(`${here.rootToken}\r`)
    expect(await exit).toBe(0)
    expect(shown).toContain('as ')
    expect(shown).not.toContain(here.rootToken)
    expect((await here.as('typist', 'whoami')).exit).toBe(0)
  },
)
