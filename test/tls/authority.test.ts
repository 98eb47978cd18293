import { execFileSync } from 'node:child_process'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import { openAuthority, type Authority } from '../../src/tls/authority.ts'
import { issueAuthority, issueLeaf, newKey } from '../../src/tls/issue.ts'
import { authorityDirectory } from '../../src/tls/place.ts'

const root = mkdtempSync(join(tmpdir(), 'flexi-authority-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

function folder(name: string): AbsolutePath {
  return join(root, name) as AbsolutePath
}

const NAMES = ['localhost', '*.localhost', '127.0.0.1', '::1']
const DAY_MS = 86_400_000

const openssl = hasOpenssl()

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('the authority', () => {
  let authority: Authority
  let cert: X509Certificate
  beforeAll(async () => {
    authority = await openAuthority(folder('shared'))
    cert = new X509Certificate(readFileSync(authority.file))
  })

  test('is made once; its key is for the user alone', async () => {
    expect(authority.isNew).toBe(true)
    const key = join(folder('shared'), 'ca.key')
    expect(statSync(key).mode & 0o777).toBe(0o600)
    expect(statSync(folder('shared')).mode & 0o777).toBe(0o700)
    const before = readFileSync(key, 'utf8')
    const again = await openAuthority(folder('shared'))
    expect(again).toMatchObject({ isNew: false, file: authority.file, fingerprint: authority.fingerprint })
    expect(readFileSync(key, 'utf8')).toBe(before)
  })

  test('says whose it is, signs itself, and may sign no further authorities', () => {
    expect(cert.subject).toMatch(/^O=flexi development authority\nCN=flexi .+ on .+/)
    expect(cert.ca).toBe(true)
    expect(cert.verify(cert.publicKey)).toBe(true)
    expect(cert.fingerprint256).toBe(authority.fingerprint)
    expect(cert.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    const years = (Date.parse(cert.validTo) - Date.now()) / (365 * DAY_MS)
    expect(years).toBeGreaterThan(9)
    expect(years).toBeLessThan(10.1)
  })

  test('issues a certificate for exactly the names asked for, for at most the 397 days browsers take', async () => {
    const pair = await authority.issue(NAMES)
    const leaf = new X509Certificate(pair.cert)
    expect(leaf.subjectAltName).toBe(
      'DNS:localhost, DNS:*.localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    )
    expect(leaf.ca).toBe(false)
    expect(leaf.checkIssued(cert)).toBe(true)
    expect(leaf.verify(cert.publicKey)).toBe(true)
    expect(leaf.checkPrivateKey(createPrivateKey(pair.key))).toBe(true)
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(Date.parse(leaf.validFrom)).toBeLessThan(Date.now())
    expect(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)).toBeLessThanOrEqual(397 * DAY_MS)
    expect(BigInt(`0x${leaf.serialNumber}`) > 2n ** 64n).toBe(true)
  })

  test('certificates are kept, for the user alone, and used again', async () => {
    const first = await authority.issue(['kept.localhost'])
    const again = await (await openAuthority(folder('shared'))).issue(['kept.localhost'])
    expect(again).toEqual(first)
    const leaves = join(folder('shared'), 'leaves')
    for (const name of readdirSync(leaves)) expect(statSync(join(leaves, name)).mode & 0o777).toBe(0o600)
  })

  test.each([
    ['cut short', (text: string) => text.slice(0, 300)],
    ['empty', () => ''],
    [
      'of another authority',
      () => readFileSync(join(folder('other'), 'leaves', fileFor(['a.localhost'])), 'utf8'),
    ],
  ])('one that is %s is made again', async (_name, spoil) => {
    await (await openAuthority(folder('other'))).issue(['a.localhost'])
    const first = await authority.issue(['a.localhost'])
    const file = join(folder('shared'), 'leaves', fileFor(['a.localhost']))
    writeFileSync(file, spoil(first.cert + first.key))
    const second = await authority.issue(['a.localhost'])
    expect(second.cert).not.toBe(first.cert)
    expect(new X509Certificate(second.cert).verify(cert.publicKey)).toBe(true)
  })

  test('processes that start together agree on one authority', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => openAuthority(folder('race'))))
    const leaves = await Promise.all(all.map((one, i) => one.issue([`r${i}.localhost`])))
    const last = await openAuthority(folder('race'))
    const trusted = new X509Certificate(readFileSync(last.file))
    expect(leaves.every(({ cert: pem }) => new X509Certificate(pem).verify(trusted.publicKey))).toBe(true)
    expect(readdirSync(folder('race')).toSorted()).toEqual(['ca.key', 'ca.pem', 'leaves'])
  })

  test('a lost certificate is made again for the same key, so that what it issued stays good', async () => {
    const first = await openAuthority(folder('lost'))
    const leaf = await first.issue(['a.localhost'])
    rmSync(first.file)
    const second = await openAuthority(folder('lost'))
    expect(second.isNew).toBe(true)
    expect(await second.issue(['a.localhost'])).toEqual(leaf)
  })

  test('files that do not belong together are an error that says what to do', async () => {
    await openAuthority(folder('mixed'))
    writeFileSync(join(folder('mixed'), 'ca.key'), await newKey())
    await expect(openAuthority(folder('mixed'))).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      message: expect.stringContaining('do not belong together'),
      hint: expect.stringContaining('Delete'),
    })
  })

  test('a directory that cannot be made is an error that names it', async () => {
    writeFileSync(folder('file'), '')
    await expect(openAuthority(folder('file/ca'))).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
      message: expect.stringContaining(folder('file/ca')),
    })
  })

  test('nothing of the library is loaded when everything is on the disk', async () => {
    const script = `
      const { openAuthority } = await import(${JSON.stringify(join(import.meta.dirname, '../../dist/tls/authority.js'))})
      await (await openAuthority(process.argv[1])).issue(['kept.localhost'])
      console.log(process.moduleLoadList === undefined ? '' : 'done', Boolean(globalThis.Reflect.defineMetadata))`
    const distIsThere = existsSync(join(import.meta.dirname, '../../dist/tls/authority.js'))
    expect(distIsThere).toBe(true)
    const words = ['--input-type=module', '-e', script, folder('shared')]
    // reflect-metadata adds to Reflect when it is loaded.
    expect(execFileSync(process.execPath, words, { encoding: 'utf8' })).toContain('false')
  })
})

describe.skipIf(!openssl)(`what OpenSSL says${openssl ? '' : ' (openssl is not installed)'}`, () => {
  async function verify(names: readonly string[], ...words: string[]): Promise<string> {
    const key = await newKey()
    const issuer = { key, cert: await issueAuthority(key, 'somebody') }
    const leaf = await issueLeaf(names, issuer)
    writeFileSync(folder('verify-ca.pem'), issuer.cert)
    writeFileSync(folder('verify-leaf.pem'), leaf.cert)
    try {
      const options = [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-CAfile',
        folder('verify-ca.pem'),
        ...words,
      ]
      return execFileSync('openssl', [...options, folder('verify-leaf.pem')], {
        encoding: 'utf8',
        stdio: 'pipe',
      })
    } catch (error) {
      return String((error as { stderr?: unknown }).stderr)
    }
  }

  test.each([
    [
      ['localhost', '*.localhost', '127.0.0.1', '::1'],
      ['-verify_hostname', 'localhost'],
    ],
    [
      ['localhost', '*.localhost', '127.0.0.1', '::1'],
      ['-verify_ip', '127.0.0.1'],
    ],
    [
      ['localhost', '*.localhost', '127.0.0.1', '::1'],
      ['-verify_ip', '::1'],
    ],
    [['hello.localhost'], ['-verify_hostname', 'hello.localhost']],
    [
      ['box.local', '192.168.1.4', 'fe80::1'],
      ['-verify_ip', '192.168.1.4'],
    ],
    [[`${'a'.repeat(60)}.${'b'.repeat(60)}.localhost`], []],
  ])('%s is good (%s)', async (names, words) => {
    expect(await verify(names, ...words)).toContain(': OK')
  })

  test.each([[['example.com']], [['localhost', 'example.com']], [['8.8.8.8']], [['localhost.example.com']]])(
    '%s is not: the authority stands for this machine and private networks alone',
    async (names) => {
      expect(await verify(names)).toContain('permitted subtree violation')
    },
  )
})

describe('where it is kept', () => {
  test.each([
    [{ FLEXI_CA_DIR: '/x/ca', XDG_DATA_HOME: '/data' }, 'linux', /^\/x\/ca$/],
    [{ XDG_DATA_HOME: '/data' }, 'linux', /^\/data\/flexi\/ca$/],
    [{ XDG_DATA_HOME: 'relative' }, 'linux', /\/\.local\/share\/flexi\/ca$/],
    [{}, 'linux', /\/\.local\/share\/flexi\/ca$/],
    [{}, 'darwin', /\/Library\/Application Support\/flexi\/ca$/],
  ] as const)('%o on %s', (environment, platform, expected) => {
    expect(authorityDirectory(environment, platform)).toMatch(expected)
  })
})

function fileFor(names: readonly string[]): string {
  const hash = createHash('sha256').update(names.join('\n')).digest('hex').slice(0, 16)
  return `${names[0]}-${hash}.pem`
}
