import { expect, test } from 'vitest'

import { readProject } from '../../src/config/project.ts'
import { FlexiError } from '../../src/core/errors.ts'
import { emulators, folder } from './fakes.ts'

async function messages(document: object): Promise<readonly string[]> {
  const directory = await folder({ 'flexi.jsonc': JSON.stringify(document), 'public/': '' })
  const error = await readProject({ directory, emulators, environment: {} }).catch(
    (caught: unknown) => caught,
  )
  if (!(error instanceof FlexiError)) throw new Error('the project was read', { cause: error })
  return error.faults.map(({ message }) => message)
}

const route = (more: object, to: unknown = 'http://a'): object => ({ routes: [{ path: '/', to, ...more }] })

test.each<[string, object, readonly RegExp[]]>([
  [
    'addresses beside a list that is none',
    route({ allow: ['10.0.0.0/33', 'foo'], deny: 'x' }),
    [/"10.0.0.0\/33" is no address/, /"foo" is no address/, /"deny" must be a list/],
  ],
  [
    'proxies beside a port',
    { server: { port: 70_000, trusted_proxies: ['a'] }, ...route({}) },
    [/"port" must be/, /"a" is no address/],
  ],
  [
    'fields beside a name that is none',
    route({ upstream: { request_headers: { 'a b': 'x', Host: 'y' } } }),
    [/"a b" is no name/, /"Host" is set elsewhere/],
  ],
  [
    'what is for another target beside an unknown key',
    route({ static: { index: false }, strip_prefix: true, nonsense: 1, upstream: { retries: -1 } }),
    [/"static" is for routes that lead to a folder/, /unknown key "nonsense"/, /"retries" must be/],
  ],
  [
    'a target beside a limit',
    route({ limits: { body: 'much' } }, 'nobody'),
    [/there is no function "nobody"/, /"body" must be/],
  ],
  [
    'a provider beside a timeout',
    { functions: { a: { provider: 'lambada', timeout: -1 } } },
    [/unknown provider "lambada"/, /"timeout" must be/],
  ],
])('a fault of the schema hides no other: %s', async (_name, document, expected) => {
  expect(await messages(document)).toEqual(expected.map((one) => expect.stringMatching(one)))
})

test.each<[string, object, RegExp]>([
  ['a key beside a certificate', route({ upstream: { tls: { cert: 5, key: 'k' } } }), /"cert" must be/],
  ['"balance" beside "hash"', route({ upstream: { balance: 'hash', hash: 'x' } }), /"hash" must be/],
  ['a route to a function', { functions: { f: 5 }, routes: [{ path: '/', to: 'f' }] }, /"f" must be/],
  ['a route without a target', route({ allow: ['::1'] }, 5), /"to" must be/],
  ['a route without a path', { routes: [{ to: 'http://a', allow: ['::1'] }] }, /"path" is missing/],
])('and makes up none: %s', async (_name, document, expected) => {
  const [first, ...others] = (await messages(document)).filter((one) => !one.startsWith('there is no file'))
  expect(first).toMatch(expected)
  expect(others).toEqual([])
})

test('places are those of the file when routes before are at fault', async () => {
  const document = { routes: [{ path: 5 }, 5, { path: '/', to: 'http://a', deny: ['x'] }] }
  expect((await messages(document)).filter((one) => one.includes('"x"'))).toEqual([
    expect.stringMatching(/"x" is no address/),
  ])
})
