import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'

import type { AbsolutePath } from '../../src/core/place.ts'
import type { CertificateFiles } from '../../src/core/project.ts'
import { openCertificates, type Certificates } from '../../src/tls/certificates.ts'
import { makeFiles, makePem } from './pem.ts'

const root = mkdtempSync(join(tmpdir(), 'flexi-certificates-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const environment = { FLEXI_CA_DIR: join(root, 'ca') }

function open(certificates: readonly CertificateFiles[], warnings: string[] = []): Promise<Certificates> {
  return openCertificates(
    { certificates },
    { host: '127.0.0.1', environment, onWarning: (message) => warnings.push(message) },
  )
}

function namesOf(cert: unknown): string | undefined {
  return new X509Certificate(String(cert)).subjectAltName
}

describe('without certificates of the user', () => {
  test('the authority makes one for the server, and one for each local name that is asked for', async () => {
    using certificates = await open([])
    expect(certificates.authority?.isNew).toBe(true)
    expect(namesOf(certificates.fallback.cert)).toContain('DNS:localhost, DNS:*.localhost')
    const first = await certificates.contextFor('Hello.localhost')
    expect(first).toBeDefined()
    expect(await certificates.contextFor('hello.localhost')).toBe(first)
    expect(await certificates.contextFor('other.localhost')).not.toBe(first)
  })

  test.each(['localhost', 'example.com', '127.0.0.1', '', 'a/b.localhost', '../../x.localhost'])(
    '%j gets the one of the server',
    async (name) => {
      using certificates = await open([])
      expect(await certificates.contextFor(name)).toBeUndefined()
    },
  )

  test('strangers cannot have it make certificates for ever', async () => {
    using certificates = await open([])
    const names = Array.from({ length: 501 }, (_, i) => `n${i}.localhost`)
    const contexts = await Promise.all(names.map((name) => certificates.contextFor(name)))
    expect(contexts.filter((context) => context !== undefined)).toHaveLength(500)
    expect(await certificates.contextFor('n3.localhost')).toBe(contexts[3])
  }, 30_000)

  test.each([
    ['hello.localhost', 'hello.localhost', false],
    ['hello.localhost', 'other.localhost', true],
    ['hello.localhost', 'localhost', true],
    ['hello.localhost', 'iam', false],
    ['localhost', 'hello.localhost', false],
    ['localhost', 'example.com', false],
    ['localhost', 'nas.local', true],
  ])('shown for %s, asked for %s: misdirected is %s', async (serverName, host, expected) => {
    using certificates = await open([])
    expect(certificates.isMisdirected(serverName, host)).toBe(expected)
  })
})

describe('with certificates of the user', () => {
  test('the name chooses, stars included; the first is for all others', async () => {
    const a = await makeFiles(root, 'a', { names: ['a.test', 'www.a.test'] })
    const b = await makeFiles(root, 'b', { names: ['*.b.test'] })
    const exact = await makeFiles(root, 'c', { names: ['one.b.test'] })
    using certificates = await open([a, b, exact])
    expect(certificates.authority).toBeUndefined()
    expect(namesOf(certificates.fallback.cert)).toBe('DNS:a.test, DNS:www.a.test')
    const [fromA, fromB, fromC] = await Promise.all(
      ['www.A.test', 'x.b.test', 'one.b.test'].map((name) => certificates.contextFor(name)),
    )
    expect(new Set([fromA, fromB, fromC]).size).toBe(3)
    expect(await certificates.contextFor('y.b.test')).toBe(fromB)
    for (const name of ['b.test', 'x.y.b.test', 'hello.localhost']) {
      expect(await certificates.contextFor(name)).toBeUndefined()
    }
    expect(certificates.isMisdirected('a.test', 'x.b.test')).toBe(true)
    expect(certificates.isMisdirected('a.test', 'www.a.test')).toBe(false)
    expect(certificates.isMisdirected('a.test', 'unknown.test')).toBe(false)
    expect(certificates.isMisdirected('unknown.test', 'one.b.test')).toBe(true)
  })

  test('what is replaced is served from then on, and who listens is told', async () => {
    const old = await makeFiles(root, 'swap', { names: ['old.test'] })
    using certificates = await open([old])
    let told = 0
    certificates.onChange(() => told++)
    await makeFiles(root, 'swap', { names: ['new.test'] })
    await certificates.replace({ certificates: [old] })
    expect(namesOf(certificates.fallback.cert)).toBe('DNS:new.test')
    expect(told).toBe(1)
    writeFileSync(old.key, (await makePem({ names: ['x.test'] })).key)
    await expect(certificates.replace({ certificates: [old] })).rejects.toMatchObject({
      code: 'FLEXI_CONFIG',
    })
    expect(namesOf(certificates.fallback.cert)).toBe('DNS:new.test')
    expect(told).toBe(1)
  })

  test.each([
    [13.5, 'in 13 days'],
    [1.5, 'tomorrow'],
    [0.5, 'today'],
  ])('one that ends in %d days is served, with a warning every day', async (days, when) => {
    const files = await makeFiles(root, 'soon', { names: ['a.test'], days: [-1, days] })
    const warnings: string[] = []
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    using certificates = await open([files], warnings)
    expect(namesOf(certificates.fallback.cert)).toBe('DNS:a.test')
    // Who reads the configuration has said it, with the line that names the file.
    expect(warnings).toEqual([])
    vi.advanceTimersByTime(86_400_000)
    await expect
      .poll(() => warnings)
      .toEqual([expect.stringContaining(`${files.cert}: the certificate ends ${when}`)])
  })

  test('one with a month left is served without a word', async () => {
    const warnings: string[] = []
    using certificates = await open(
      [await makeFiles(root, 'month', { names: ['a.test'], days: [-1, 30] })],
      warnings,
    )
    expect(certificates.fallback.key).toContain('PRIVATE KEY')
    expect(warnings).toEqual([])
  })
})

describe('certificates that cannot be served are named, with what to do', () => {
  async function refusal(spoil: (files: CertificateFiles) => Promise<CertificateFiles> | CertificateFiles) {
    const files = await makeFiles(join(root, 'bad'), 'bad', { names: ['a.test'] })
    const error: unknown = await open([await spoil(files)]).catch((thrown: unknown) => thrown)
    return { files, error }
  }

  test.each<
    [string, (files: CertificateFiles) => Promise<CertificateFiles> | CertificateFiles, RegExp, RegExp]
  >([
    [
      'a missing certificate',
      (f) => ({ ...f, cert: `${f.cert}x` as AbsolutePath }),
      /bad\.pemx:1:1 {2}there is no such file/,
      /Correct its name/,
    ],
    [
      'a missing key',
      (f) => ({ ...f, key: `${f.key}x` as AbsolutePath }),
      /bad\.keyx:1:1 {2}there is no such file/,
      /Correct its name/,
    ],
    [
      'a folder',
      (f) => ({ ...f, key: join(f.key, '..') as AbsolutePath }),
      /cannot be read/,
      /Make it readable/,
    ],
    [
      'both swapped',
      (f) => ({ cert: f.key, key: f.cert }),
      /this is a key, .*\n(.*\n)*.*this is a certificate/,
      /Swap "cert" and "key"/,
    ],
    [
      'text',
      (f) => (writeFileSync(f.cert, 'hello'), f),
      /no certificate in PEM form/,
      /openssl x509 -inform der/,
    ],
    [
      'a key that is text',
      (f) => (writeFileSync(f.key, 'hello'), f),
      /no private key in PEM form/,
      /Name the key/,
    ],
    [
      'a key of another',
      async (f) => (writeFileSync(f.key, (await makePem({ names: ['b.test'] })).key), f),
      /does not belong to the certificate/,
      /Name the key/,
    ],
    [
      'a chain that begins with its authority',
      async (f) => (
        writeFileSync(
          f.cert,
          (await makePem({ names: ['ca.test'], ca: true })).cert +
            (await makePem({ names: ['a.test'] })).cert,
        ),
        f
      ),
      /does not belong/,
      /certificate first in that file/,
    ],
    [
      'an encrypted key',
      async (f) => {
        const { key } = await makePem({ names: ['a.test'] })
        const encrypted = createPrivateKey(key).export({
          type: 'pkcs8',
          format: 'pem',
          cipher: 'aes-256-cbc',
          passphrase: 'x',
        })
        writeFileSync(f.key, encrypted)
        return f
      },
      /the key is encrypted/,
      /openssl pkey -in .*bad\.key/,
    ],
    [
      'one that has ended',
      (f) => makeFiles(join(f.cert, '..'), 'bad', { names: ['a.test'], days: [-3, -1] }),
      /the certificate ended on/,
      /Renew it/,
    ],
    [
      'one that has not begun',
      (f) => makeFiles(join(f.cert, '..'), 'bad', { names: ['a.test'], days: [1, 3] }),
      /the certificate begins on/,
      /Set the clock/,
    ],
  ])('%s', async (_name, spoil, message, hint) => {
    const { error } = await refusal(spoil)
    expect(error).toMatchObject({ code: 'FLEXI_CONFIG', message: expect.stringMatching(message) })
    expect((error as Error).message).toMatch(hint)
    expect((error as Error).message).not.toContain('BEGIN')
  })

  test('all at once', async () => {
    const good = await makeFiles(root, 'good', { names: ['a.test'] })
    const missing = { cert: join(root, 'no.pem') as AbsolutePath, key: join(root, 'no.key') as AbsolutePath }
    await expect(open([good, missing])).rejects.toMatchObject({ faults: { length: 2 } })
  })
})
