import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { commandLine, trustHints, trustStores, type System } from '../../src/tls/trust.ts'

const AUTHORITY = {
  file: '/data/flexi/ca/ca.pem' as AbsolutePath,
  fingerprint: 'AB:CD:EF:01:23:45:67:89:AB:CD',
}

let root: string
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'flexi-trust-'))))
afterEach(() => rmSync(root, { recursive: true, force: true }))

function system(more: Partial<System> = {}): System {
  return { platform: 'linux', home: join(root, 'home'), isRoot: false, root, ...more }
}

function lines(
  stores: ReturnType<typeof trustStores>,
): Record<string, { install: string[]; uninstall: string[] }> {
  const texts = stores.map(({ name, install, uninstall }) => [
    name,
    { install: install.map(commandLine), uninstall: uninstall.map(commandLine) },
  ])
  return Object.fromEntries(texts) as ReturnType<typeof lines>
}

describe('the store of the system', () => {
  test.each([
    ['Debian', 'usr/local/share/ca-certificates', '.crt', 'update-ca-certificates'],
    ['Fedora', 'etc/pki/ca-trust/source/anchors', '.pem', 'update-ca-trust extract'],
    ['SUSE', 'etc/pki/trust/anchors', '.pem', 'update-ca-certificates'],
    ['Arch', 'etc/ca-certificates/trust-source/anchors', '.crt', 'trust extract-compat'],
  ])('of %s gets a file, and is told of it', (_name, folder, suffix, refresh) => {
    mkdirSync(join(root, folder), { recursive: true })
    const target = `${join(root, folder)}/flexi-abcdef0123456789${suffix}`
    expect(lines(trustStores(AUTHORITY, system()))['this system']).toEqual({
      install: [`sudo cp /data/flexi/ca/ca.pem ${target}`, `sudo ${refresh}`],
      uninstall: [`sudo rm -f ${target}`, `sudo ${refresh}`],
    })
    const asRoot = lines(trustStores(AUTHORITY, system({ isRoot: true })))['this system']
    expect(asRoot?.install[1]).toBe(refresh)
  })

  test('of macOS is the keychain of the user, without sudo', () => {
    const stores = lines(trustStores(AUTHORITY, system({ platform: 'darwin', home: '/Users/a b' })))
    expect(stores['this system']?.install).toEqual([
      "security add-trusted-cert -r trustRoot -k '/Users/a b/Library/Keychains/login.keychain-db' /data/flexi/ca/ca.pem",
    ])
  })

  test('of Windows is the one of the user', () => {
    const stores = lines(trustStores(AUTHORITY, system({ platform: 'win32' })))
    expect(stores['this system']?.install).toEqual(['certutil -user -addstore Root /data/flexi/ca/ca.pem'])
  })

  test('of a system that nobody knows is none', () => {
    expect(trustStores(AUTHORITY, system())).toEqual([])
  })
})

describe('browsers with databases of their own', () => {
  test('Chrome and every profile of Firefox that has one', () => {
    const folders = [
      '.pki/nssdb',
      '.mozilla/firefox/a.default',
      'snap/firefox/common/.mozilla/firefox/b.default',
    ]
    for (const folder of [...folders, '.mozilla/firefox/Crash Reports'])
      mkdirSync(join(root, 'home', folder), { recursive: true })
    for (const folder of folders) writeFileSync(join(root, 'home', folder, 'cert9.db'), '')
    const stores = lines(trustStores(AUTHORITY, system()))
    const home = join(root, 'home')
    expect(stores['Chrome']?.install).toEqual([
      `certutil -d sql:${home}/.pki/nssdb -A -t C,, -n flexi-abcdef0123456789 -i /data/flexi/ca/ca.pem`,
    ])
    expect(stores['Firefox']?.uninstall).toEqual([
      `certutil -d sql:${home}/.mozilla/firefox/a.default -D -n flexi-abcdef0123456789`,
      `certutil -d sql:${home}/snap/firefox/common/.mozilla/firefox/b.default -D -n flexi-abcdef0123456789`,
    ])
  })
})

test('programs that are told each time', () => {
  expect(trustHints('/a b/ca.pem' as AbsolutePath, 'https://localhost:1')).toEqual([
    { name: 'Node', line: "export NODE_EXTRA_CA_CERTS='/a b/ca.pem'" },
    { name: 'curl', line: "curl --cacert '/a b/ca.pem' https://localhost:1/" },
  ])
})

test('a command line is what a shell makes the words of again', () => {
  const words = ['printf', '%s|', 'a b', "it's", '$HOME', '', 'plain-1.pem'] as const
  expect(execFileSync('/bin/sh', ['-c', commandLine(words)], { encoding: 'utf8' })).toBe(
    "a b|it's|$HOME||plain-1.pem|",
  )
})
