import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { FlexiError } from '../../../src/core/errors.ts'
import { isLocal, parseDaemonAddress } from '../../../src/daemon/client/address.ts'

describe('the address of a daemon', () => {
  test.each([
    ['https://flexi.example.com', 'https://flexi.example.com', 'flexi.example.com', 443],
    ['https://flexi.example.com/', 'https://flexi.example.com', 'flexi.example.com', 443],
    ['https://flexi.example.com/api/', 'https://flexi.example.com', 'flexi.example.com', 443],
    ['HTTPS://Flexi.Example.com:8443', 'https://flexi.example.com:8443', 'flexi.example.com', 8443],
    ['http://10.0.0.7:8080', 'http://10.0.0.7:8080', '10.0.0.7', 8080],
    ['http://[::1]:8080', 'http://[::1]:8080', '::1', 8080],
    // What leaves the machine is encrypted unless somebody says otherwise.
    ['flexi.example.com', 'https://flexi.example.com', 'flexi.example.com', 443],
    ['flexi.example.com:8080', 'https://flexi.example.com:8080', 'flexi.example.com', 8080],
    ['localhost:8080', 'http://localhost:8080', 'localhost', 8080],
    ['flexi.localhost:8080', 'http://flexi.localhost:8080', 'flexi.localhost', 8080],
    ['127.0.0.1:8080', 'http://127.0.0.1:8080', '127.0.0.1', 8080],
    ['[::1]:8080', 'http://[::1]:8080', '::1', 8080],
    ['https://localhost:8443', 'https://localhost:8443', 'localhost', 8443],
  ])('%s is %s', (text, name, host, port) => {
    expect(parseDaemonAddress(text)).toEqual({ name, host, port, secure: name.startsWith('https:') })
  })

  test.each(['unix:/run/flexi.sock', 'unix:///run/flexi.sock', '/run/flexi.sock'])(
    '%s is a socket of this machine',
    (text) => {
      const address = parseDaemonAddress(text)
      expect(address).toMatchObject({ name: 'unix:/run/flexi.sock', socketPath: '/run/flexi.sock' })
      expect(isLocal(address)).toBe(true)
    },
  )

  test.each([
    '',
    ' ',
    'ftp://example.com',
    'https://',
    'https://example.com/deploy',
    'https://example.com/?a=1',
    'unix:flexi.sock',
    'https://exa mple.com',
    'https://example.com:99999',
  ])('%j is none', (text) => {
    expect(() => parseDaemonAddress(text)).toThrow(FlexiError)
  })

  test('a password in an address is neither taken nor shown', () => {
    const error = thrownBy(() => parseDaemonAddress('https://ada:s3cret@example.com'))
    expect(error.code).toBe('FLEXI_USAGE')
    expect(`${error.message} ${error.hint}`).not.toContain('s3cret')
    expect(thrownBy(() => parseDaemonAddress('https://ada:s3cret@exa mple.com')).message).not.toContain(
      's3cret',
    )
  })

  test('the name of an address is that address again', () => {
    fc.assert(
      fc.property(fc.webUrl({ validSchemes: ['http', 'https'], withFragments: false }), (url) => {
        const { name } = parseDaemonAddress(new URL(url).origin)
        expect(parseDaemonAddress(name).name).toBe(name)
      }),
    )
  })

  test('whatever is written, it is an address or a FlexiError', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseDaemonAddress(text)
        } catch (error) {
          expect(error).toBeInstanceOf(FlexiError)
        }
      }),
    )
  })
})

function thrownBy(task: () => unknown): FlexiError {
  try {
    task()
  } catch (error) {
    if (error instanceof FlexiError) return error
  }
  throw new Error('nothing was thrown')
}
