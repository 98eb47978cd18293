import { createPrivateKey } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { readProject } from '../../src/config/project.ts'
import { FlexiError } from '../../src/core/errors.ts'
import type { Fault } from '../../src/core/place.ts'
import type { Project } from '../../src/core/project.ts'
import { makePem } from '../tls/pem.ts'
import { emulators, folder } from './fakes.ts'

type Files = Readonly<Record<string, string>>

async function read(document: object, files: Files): Promise<Project> {
  const text = JSON.stringify(document, undefined, 1)
  const directory = await folder({ 'flexi.jsonc': text, ...files })
  return readProject({ directory, emulators, environment: {} })
}

/** `{"key": "a.key"} file: message | hint`, the first being the line that is pointed at. */
function shown({ place, text, message, hint }: Fault): string {
  return `${place.file.split('/').at(-1)} ${text?.slice(place.column - 1)}: ${message} | ${hint}`
}

async function faults(document: object, files: Files): Promise<readonly string[]> {
  const error = await read(document, files).catch((caught: unknown) => caught)
  if (!(error instanceof FlexiError)) throw new Error('the project was read', { cause: error })
  return error.faults.map(shown)
}

const served = (...certificates: { cert: string; key: string }[]): object => ({
  server: { https: { certificates } },
  routes: [{ path: '/', to: 'http://a' }],
})

const upstream = (tls: object, to: unknown = 'https://a'): object => ({
  routes: [{ path: '/', to, upstream: { tls } }],
})

const A = await makePem({ names: ['a.test'] })
const B = await makePem({ names: ['b.test'] })
const OLD = await makePem({ names: ['old.test'], days: [-3, -1] })
const LOCKED = createPrivateKey(A.key).export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'x',
})
const FILES = {
  'tls/a.crt': A.cert,
  'tls/a.key': A.key,
  'tls/b.key': B.key,
  'tls/old.crt': OLD.cert,
  'tls/old.key': OLD.key,
  'tls/locked.key': String(LOCKED),
  'tls/no.txt': 'hello',
}

describe('what certificate files hold is checked where flexi.jsonc names them', () => {
  test.each([
    [
      'a.crt',
      'b.key',
      /^flexi\.jsonc "tls\/b\.key".*"tls\/b\.key": the key does not belong to the certificate "tls\/a\.crt" \| Name/,
    ],
    [
      'old.crt',
      'old.key',
      /^flexi\.jsonc "tls\/old\.crt".*"tls\/old\.crt": the certificate ended on .* \| Renew it/,
    ],
    [
      'a.crt',
      'locked.key',
      /^flexi\.jsonc "tls\/locked\.key".*the key is encrypted.*openssl pkey -in tls\/locked\.key/,
    ],
    ['no.txt', 'a.key', /^flexi\.jsonc "tls\/no\.txt".*no certificate in PEM form/],
    ['a.crt', 'no.txt', /^flexi\.jsonc "tls\/no\.txt".*no private key in PEM form/],
  ])('of the server: %s with %s', async (cert, key, expected) => {
    const all = await faults(served({ cert: `tls/${cert}`, key: `tls/${key}` }), FILES)
    expect(all).toEqual([expect.stringMatching(expected)])
  })

  test('of the server: an authority that signed itself is no chain in the wrong order', async () => {
    const own = await makePem({ names: ['ca.test'], ca: true })
    const files = { 'a.crt': own.cert, 'b.key': B.key }
    const [only] = await faults(served({ cert: 'a.crt', key: 'b.key' }), files)
    expect(only).toMatch(/does not belong .* \| Name the key that this certificate was made for/)
  })

  test('of the server: swapped files are two faults', async () => {
    expect(await faults(served({ cert: 'tls/a.key', key: 'tls/a.crt' }), FILES)).toEqual([
      expect.stringMatching(/"tls\/a\.key": this is a key, .*Swap/),
      expect.stringMatching(/"tls\/a\.crt": this is a certificate, .*Swap/),
    ])
  })

  test('of upstreams: a key of another certificate, and authorities that are none', async () => {
    const tls = { ca: 'tls/no.txt', cert: 'tls/a.crt', key: 'tls/b.key' }
    expect(await faults(upstream(tls), FILES)).toEqual([
      expect.stringMatching(/^flexi\.jsonc "tls\/no\.txt".*: "tls\/no\.txt": .*no certificate in PEM form/),
      expect.stringMatching(/^flexi\.jsonc "tls\/b\.key".*does not belong to the certificate "tls\/a\.crt"/),
    ])
  })

  test('a broken certificate among the authorities of an upstream is found, wherever it stands', async () => {
    const broken = `${A.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`
    expect(await faults(upstream({ ca: 'ca.pem' }), { 'ca.pem': broken })).toEqual([
      expect.stringMatching(/"ca\.pem": certificate 2 .*cannot be read/),
    ])
  })

  test('all at once, with the faults of the rest', async () => {
    const document = {
      ...served({ cert: 'tls/a.crt', key: 'tls/b.key' }, { cert: 'tls/old.crt', key: 'tls/old.key' }),
      routes: [{ path: '/', to: 'https://a', upstream: { tls: { ca: 'tls/no.txt' }, retries: -1 } }],
    }
    expect(await faults(document, FILES)).toHaveLength(4)
  })

  test('one that ends within two weeks is a warning', async () => {
    const soon = await makePem({ names: ['a.test'], days: [-1, 13.5] })
    const files = { 'a.crt': soon.cert, 'a.key': soon.key }
    const pair = { cert: 'a.crt', key: 'a.key' }
    const warning = /"a\.crt": the certificate ends in 13 days, on .* \| Renew it/
    for (const document of [served(pair), upstream(pair)])
      expect((await read(document, files)).faults.map(shown)).toEqual([expect.stringMatching(warning)])
  })

  test('of an upstream, one that has ended is a warning, because some servers do not look', async () => {
    const { faults: warnings } = await read(upstream({ cert: 'tls/old.crt', key: 'tls/old.key' }), FILES)
    expect(warnings.map(shown)).toEqual([expect.stringMatching(/the certificate ended on/)])
  })

  test('tls of a route to http:// alone is a warning', async () => {
    const warning = '"tls" has no effect: no upstream of this route begins with https://'
    const tls = { verify: false }
    const read_ = async (to: unknown) =>
      (await read(upstream(tls, to), {})).faults.map(({ message }) => message)
    expect(await read_('http://a')).toEqual([warning])
    expect(await read_('http://a http://b')).toEqual([warning])
    expect(await read_(['http://a', { url: 'http://b' }])).toEqual([warning])
    expect(await read_(['http://a', 'https://b'])).toEqual([])
    expect(await read_('http://a HTTPS://b')).toEqual([])
  })
})
