import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Call } from '../../src/daemon/api/schemas/operations.ts'
import { daemonHere, type DaemonHere } from './daemon-here.ts'

type Tokens = Call<'tokens'>['answer']
type Audit = Call<'audit'>['answer']

let here: DaemonHere
beforeAll(async () => {
  here = await daemonHere()
  await here.as('root', 'login', here.url, '--token', here.rootToken)
})
afterAll(() => here[Symbol.asyncDispose]())

const root = (...args: string[]) => here.as('root', ...args)

/** A user with a token, logged in. */
async function user(name: string, ...groups: string[]): Promise<string> {
  await root('users', 'add', name, ...groups.flatMap((group) => ['-g', group]))
  const { stdout } = await root('tokens', 'create', '--user', name)
  await here.as(name, 'login', here.url, '--token', stdout.trim())
  return stdout.trim()
}

describe('users', () => {
  test('are added with permissions by their names, changed, shown and removed', async () => {
    expect((await root('users', 'add', 'ada', '-g', 'write', '--group', 'custom:team')).stdout).toBe(
      'added: ada (permission:write, custom:team)\n',
    )
    expect((await root('users', 'modify', 'ada', '--add', 'remove', '--take', 'custom:team')).stdout).toBe(
      'ada: permission:write, permission:remove\n',
    )
    expect((await root('users', 'show', 'ada')).stdout).toBe('permission:write\npermission:remove\n')
    expect((await root('users', 'modify', 'ada', '-g', 'read')).stdout).toBe('ada: permission:read\n')
    expect((await root('users', 'modify', 'ada', '--none')).stdout).toBe('ada: no group\n')
    expect((await root('users', 'list')).stdout).toMatch(/^USER .*\nada /)
    expect(await root('users', 'remove', 'ada')).toMatchObject({ exit: 2 })
    expect((await root('users', 'remove', '--yes', 'ada')).stdout).toBe('removed: ada\n')
    expect((await root('users', 'show', 'ada')).exit).toBe(66)
  })

  test('that are there, and those that are not, are said to be', async () => {
    await root('users', 'add', 'grace')
    expect((await root('users', 'add', 'grace')).stderr).toContain('grace')
    const { exit, stderr } = await root('users', 'show', 'garce')
    expect(exit).toBe(66)
    expect(stderr).toContain('Did you mean "grace"?')
  })

  test.each([
    [['users', 'add', 'x', '-g', 'wirte'], 'Did you mean "write"?'],
    [['users', 'modify', 'x'], 'nothing is to be changed'],
    [['users', 'modify', 'x', '--none', '--add', 'read'], '--none'],
    [['users', 'modify', 'x', '-g', 'read', '--take', 'read'], '--group'],
  ])('%j is refused', async (words, message) => {
    const { exit, stderr } = await root(...words)
    expect(exit).toBe(2)
    expect(stderr).toContain(message)
  })

  test('give nobody what they lack themselves', async () => {
    await user('boss', 'admin')
    const { exit, stderr } = await here.as('boss', 'users', 'add', 'friend', '-g', 'root')
    expect(exit).toBe(1)
    expect(stderr).toContain('FLEXI_FORBIDDEN')
    await user('reader', 'read')
    expect((await here.as('reader', 'functions', 'list')).exit).toBe(0)
    expect((await here.as('reader', 'users', 'list')).stderr).toContain('FLEXI_FORBIDDEN')
  })
})

describe('tokens', () => {
  test('are alone on standard output, once, and never in a list', async () => {
    await root('users', 'add', 'ci', '-g', 'write', '-g', 'execute')
    const args = ['--user', 'ci', '--label', 'pipeline', '--ends', '90d', '--scope', 'write']
    const { exit, stdout, stderr } = await root('tokens', 'create', ...args)
    expect(exit).toBe(0)
    expect(stdout).toMatch(/^[\w-]{43}\n$/)
    expect(stderr).toContain('of ci, until ')
    expect(stderr).not.toContain(stdout.trim())
    const list = await root('tokens', 'list', '--user', 'ci')
    expect(list.stdout).toMatch(/ci +pipeline +permission:write +in 89 d +never/)
    expect(list.stdout).not.toContain(stdout.trim())
    const who = await here.run('none', ['whoami', '--json', '--daemon', here.url], {
      environment: { FLEXI_TOKEN: stdout.trim() },
    })
    expect(JSON.parse(who.stdout)).toMatchObject({
      user: 'ci',
      permissions: expect.not.arrayContaining(['execute']),
    })
  })

  test('are worth nothing once they are revoked', async () => {
    await user('mallory', 'read')
    const [token] = await here.json<Tokens>('root', 'tokens', 'list', '--user', 'mallory')
    expect((await here.as('mallory', 'whoami')).exit).toBe(0)
    expect((await root('tokens', 'revoke', token?.id ?? '')).stdout).toBe(`revoked: ${token?.id}\n`)
    expect((await here.as('mallory', 'whoami')).exit).not.toBe(0)
    expect((await root('tokens', 'revoke', token?.id ?? '')).exit).toBe(66)
  })

  test('given in place of an id are neither sent nor shown', async () => {
    const token = await user('hasty', 'read')
    const { exit, stderr } = await here.as('hasty', 'tokens', 'revoke', token)
    expect(exit).toBe(2)
    expect(stderr).not.toContain(token)
    expect((await here.as('hasty', 'whoami')).exit).toBe(0)
  })

  test('that would be good for no time are refused', async () => {
    expect((await root('tokens', 'create', '--ends', '0s')).exit).toBe(2)
    expect((await root('tokens', 'create', '--ends', 'soon')).exit).toBe(2)
  })
})

describe('flexi audit', () => {
  test('shows who changed what, newest first, and no token', async () => {
    const token = await user('traced', 'write')
    const { exit, stdout } = await root('audit')
    expect(exit).toBe(0)
    expect(stdout).toMatch(/^WHEN +WHO +FROM +WHAT +HOW IT WENT +ON\n/)
    expect(stdout).toContain('traced')
    const lines = await here.json<Audit>('root', 'audit', '--limit', '2')
    expect(lines).toHaveLength(2)
    expect(lines[0]?.at).toBeGreaterThanOrEqual(lines[1]?.at ?? Infinity)
    const all = JSON.stringify(await here.json<Audit>('root', 'audit', '--since', '1h', '--limit', '1000'))
    expect(all).not.toContain(token)
    expect(all).not.toContain(here.rootToken)
    expect((await here.as('traced', 'audit')).stderr).toContain('FLEXI_FORBIDDEN')
  })
})
