import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, describe, expect, test } from 'vitest'

import { cli } from './cli.ts'

const root = mkdtempSync(join(tmpdir(), 'flexi-trust-command-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const environment = { HOME: root, FLEXI_CA_DIR: join(root, 'ca') }
const file = join(root, 'ca/ca.pem')

describe('flexi trust', () => {
  test('makes the authority when there is none, shows it and the commands, and changes nothing else', async () => {
    const { exit, stdout, stderr } = await cli(['trust'], { environment })
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    const { fingerprint256 } = new X509Certificate(readFileSync(file))
    expect(stdout).toContain(`  ${file}\n  SHA-256 ${fingerprint256}\n`)
    expect(stdout).toMatch(/WHO +WHAT TO RUN\n/)
    expect(stdout).toContain(`Node          export NODE_EXTRA_CA_CERTS=${file}`.slice(4).trim())
    expect(stdout).not.toContain('PRIVATE KEY')
  })

  test('is data with --json', async () => {
    const { exit, stdout } = await cli(['trust', '--json'], { environment })
    expect(exit).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      file,
      fingerprint: expect.stringMatching(/^([\dA-F]{2}:){31}/),
    })
  })

  test('says what it is for', async () => {
    const { exit, stdout } = await cli(['trust', '--help'])
    expect(exit).toBe(0)
    for (const text of ['--install', '--uninstall', 'Nothing is changed without'])
      expect(stdout).toContain(text)
  })

  test('cannot install and uninstall at once', async () => {
    const { exit, stderr } = await cli(['trust', '--install', '--uninstall'], { environment })
    expect(exit).toBe(2)
    expect(stderr).toContain('--uninstall')
  })

  test('a folder that cannot be used is said to be', async () => {
    const { exit, stderr } = await cli(['trust'], { environment: { FLEXI_CA_DIR: '/dev/null/ca' } })
    expect(exit).toBe(78)
    expect(stderr).toContain('/dev/null/ca cannot be used')
  })
})

const certutil = hasCertutil()

/** NSS's; others are called the same. */
function hasCertutil(): boolean {
  const database = join(root, '.pki/nssdb')
  mkdirSync(database, { recursive: true })
  try {
    execFileSync('certutil', ['-N', '--empty-password', '-d', `sql:${database}`], { stdio: 'ignore' })
    return existsSync(join(database, 'cert9.db'))
  } catch {
    return false
  }
}

test.skipIf(!certutil)(
  `the commands for a browser's database do what they say${certutil ? '' : ' (the certutil of NSS is not installed)'}`,
  async () => {
    const database = `sql:${join(root, '.pki/nssdb')}`
    const list = (): string => execFileSync('certutil', ['-L', '-d', database], { encoding: 'utf8' })
    const { stdout } = await cli(['trust', '--json'], { environment })
    const { stores } = JSON.parse(stdout) as { stores: { name: string; commands: string[] }[] }
    const commands = stores.find(({ name }) => name === 'Chrome')?.commands ?? []
    for (const command of commands) execFileSync('/bin/sh', ['-c', command])
    expect(list()).toMatch(/flexi-[\da-f]{16} +C,,/)
  },
)
