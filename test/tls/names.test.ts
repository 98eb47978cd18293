import { BlockList, isIP } from 'node:net'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import {
  addressBytes,
  canonicalAddress,
  coversHost,
  isLocalName,
  LOCAL_BLOCKS,
  maskByte,
  namesOfServer,
} from '../../src/tls/names.ts'

describe('names of private networks', () => {
  test.each([
    'localhost',
    'hello.localhost',
    'a.b.localhost',
    'box.local',
    'x.test',
    'a.internal',
    'nas.home.arpa',
  ])('%s is one', (name) => expect(isLocalName(name)).toBe(true))
  test.each([
    'example.com',
    'localhost.example.com',
    'notlocalhost',
    '.localhost',
    'a..localhost',
    '-a.localhost',
    'a/b.localhost',
    '*.localhost',
    '',
    `${'a'.repeat(64)}.localhost`,
    `${'a.'.repeat(130)}localhost`,
  ])('%s is none', (name) => expect(isLocalName(name)).toBe(false))
})

describe('names of a server', () => {
  test.each([
    ['127.0.0.1', ['localhost', '*.localhost', '127.0.0.1', '::1']],
    ['192.168.1.4', ['localhost', '*.localhost', '127.0.0.1', '::1', '192.168.1.4']],
    ['Box.local', ['localhost', '*.localhost', '127.0.0.1', '::1', 'box.local']],
    ['8.8.8.8', ['localhost', '*.localhost', '127.0.0.1', '::1']],
    ['example.com', ['localhost', '*.localhost', '127.0.0.1', '::1']],
  ])('that listens on %s', (host, names) => expect(namesOfServer(host)).toEqual(names))

  test('that listens everywhere has those of the machine too', () => {
    expect(namesOfServer('0.0.0.0').some((name) => name.endsWith('.local'))).toBe(true)
  })
})

describe('a name of a certificate (RFC 6125 section 6.4.3)', () => {
  test.each([
    ['a.example', 'a.example', true],
    ['*.example', 'a.example', true],
    ['*.example', 'example', false],
    ['*.example', 'a.b.example', false],
    ['*.example', '.example', false],
    ['a*.example', 'ab.example', false],
    ['*', 'example', false],
    ['*.0.0.1', '127.0.0.1', false],
    ['127.0.0.1', '127.0.0.1', true],
  ])('%s for %s: %s', (name, host, expected) => expect(coversHost(name, host)).toBe(expected))
})

describe('addresses', () => {
  test('bytes of any IPv6 address are those of its canonical form', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const bytes = addressBytes(address)
        expect(bytes).toHaveLength(16)
        expect(addressBytes(canonicalAddress(address))).toEqual(bytes)
      }),
    )
  })

  test('the blocks take what a block list of Node takes', () => {
    const list = new BlockList()
    for (const [address, length] of LOCAL_BLOCKS)
      list.addSubnet(address, length, isIP(address) === 4 ? 'ipv4' : 'ipv6')
    fc.assert(
      fc.property(
        fc.oneof(
          fc.ipV4(),
          fc.ipV6(),
          fc.constantFrom('10.1.2.3', '172.31.0.1', '172.32.0.1', 'fd00::1', 'fe80::2', '::2'),
        ),
        (address) => {
          const taken = namesOfServer(address).includes(address.toLowerCase())
          // Node reads ::ffff:10.0.0.1 as 10.0.0.1.
          fc.pre(!address.toLowerCase().includes('ffff'))
          const known = ['127.0.0.1', '::1'].includes(address)
          expect(taken).toBe(known || list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6'))
        },
      ),
    )
  })

  test.each([
    [8, 0, 255],
    [8, 1, 0],
    [12, 1, 0xf0],
    [10, 1, 0xc0],
    [128, 15, 255],
    [7, 0, 0xfe],
  ])('prefix of %i bits, byte %i', (length, index, expected) =>
    expect(maskByte(length, index)).toBe(expected),
  )
})
