import { describe, expect, test } from 'vitest'

import { echo, openTest, readAll } from './harness.ts'

const HOST = 'Host: 127.0.0.1\r\n'

/** What nginx, HAProxy or a browser could read differently from us must not be served at all. */
describe('requests that are refused before any function or upstream sees them', () => {
  test.each([
    [
      'CL and TE',
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [
      'two TE',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ['two chunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, 400],
    ['TE xchunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 501],
    ['TE gzip, chunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
    [
      'TE with a space before its colon',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ['TE with HTTP/1.0', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['two different CL', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, 400],
    ['CL list', `POST / HTTP/1.1\r\n${HOST}Content-Length: 2, 2\r\n\r\nab`, 400],
    ['CL +2', `POST / HTTP/1.1\r\n${HOST}Content-Length: +2\r\n\r\nab`, 400],
    ['CL beyond 64 bits', `POST / HTTP/1.1\r\n${HOST}Content-Length: 18446744073709551618\r\n\r\nab`, 400],
    ['obs-fold', `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`, 400],
    ['NUL in a value', `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`, 400],
    ['bare CR in a value', `GET / HTTP/1.1\r\n${HOST}X: a\rb\r\n\r\n`, 400],
    ['space in a name', `GET / HTTP/1.1\r\n${HOST}X Y: a\r\n\r\n`, 400],
    ['no colon', `GET / HTTP/1.1\r\n${HOST}XY\r\n\r\n`, 400],
    [
      'chunk size 0x2',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n`,
      400,
    ],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', `GET / HTTP/1.1\r\n${HOST}Host: other\r\n\r\n`, 400],
    ['two equal Hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
    ['Host with a slash', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    ['Host with user information', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
    ['Host with a space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
    ['Host with a backslash', 'GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n', 400],
    ['Host with a port that is none', 'GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n', 400],
    ['Host with a port too high', 'GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n', 400],
    ['a scheme that is not http', `GET ftp://a/ HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['user information in the target', `GET http://u@a/ HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['* of GET', `GET * HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['fragment', `GET /a#b HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['raw UTF-8 in the path', `GET /\xc3\xa9 HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['space in the path', `GET /a b HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['path without a slash', `GET a HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['HTTP/2.0', `GET / HTTP/2.0\r\n${HOST}\r\n`, 505],
    ['HTTP/1.9', `GET / HTTP/1.9\r\n${HOST}\r\n`, 505],
    [
      'an expectation nobody knows',
      `POST / HTTP/1.1\r\n${HOST}Expect: tea\r\nContent-Length: 1\r\n\r\nx`,
      417,
    ],
    ['CONNECT', `CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n`, 405],
    ['a head of 20 KB', `GET / HTTP/1.1\r\n${HOST}X: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['1001 fields', `GET / HTTP/1.1\r\n${HOST}${'a: b\r\n'.repeat(1_001)}\r\n`, 431],
    ['a TLS ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ])('%s', async (_name, request, status) => {
    let asked = 0
    await using test_ = await openTest({
      handle(incoming, outgoing) {
        // A handler may have begun before the body proves broken; it must not get a whole one.
        incoming.on('end', () => asked++).resume()
        incoming.on('end', () => outgoing.end('served'))
        return Promise.resolve()
      },
    })
    const answer = await test_.raw(request)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toContain('Connection: close')
    expect(answer).toContain('application/problem+json')
    expect(answer.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(1)
    expect(asked).toBe(0)
    expect(await (await fetch(test_.url, { method: 'POST', body: 'x' })).text()).toBe('served')
  })
})

test('what could not be read is a warning with client and reason; many at once are one line', async () => {
  await using test_ = await openTest(echo)
  const broken = 'GET / HTTP/1.1\r\nX Y: a\r\n\r\n'
  await Promise.all(Array.from({ length: 20 }, () => test_.raw(broken)))
  const warnings = test_.log.filter(({ level }) => level === 'warn')
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toMatchObject({
    event: 'request.unreadable',
    fields: {
      message: expect.stringMatching(/^127\.0\.0\.1:\d+ was refused with 400: the request is no/) as unknown,
    },
  })
})

describe('requests that look odd and are right', () => {
  test.each([
    ['one CRLF before the request', `\r\nGET /x HTTP/1.1\r\n${HOST}\r\n`],
    ['HTTP/1.0 without Host', 'GET /x HTTP/1.0\r\n\r\n'],
    ['an IPv6 Host', 'GET /x HTTP/1.1\r\nHost: [::1]:8069\r\n\r\n'],
    ['an empty Host', 'GET /x HTTP/1.1\r\nHost:\r\n\r\n'],
    ['CHUNKED', `POST /x HTTP/1.1\r\n${HOST}Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n`],
    ['GET with content', `GET /x HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\nab`],
  ])('%s', async (_name, request) => {
    await using test_ = await openTest(echo)
    const answer = await test_.raw(request)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toContain('"target":"/x"')
  })

  test('absolute-form: its authority replaces Host, and the target stays as sent', async () => {
    await using test_ = await openTest({
      routes: [
        {
          rule: {
            matcher: { kind: 'path', path: '/x', field: { name: 'host', valuePrefix: 'other' } },
            target: { kind: 'function', name: 'a' },
            pattern: '/x',
            origin: { file: 'a', line: 1, column: 1 },
          },
          fetcher: echo,
        },
      ],
      functions: new Map(),
    })
    const answer = await test_.raw(`GET http://other:81/x?y HTTP/1.1\r\nhOST: first\r\nA: b\r\n\r\n`)
    const body = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1))
    expect(body).toMatchObject({
      raw: { target: 'http://other:81/x?y', fields: ['hOST', 'other:81', 'A', 'b'] },
      url: '/x?y',
      host: 'other:81',
    })
  })

  test('a request pipelined behind another is answered once, in order', async () => {
    await using test_ = await openTest(echo)
    const answer = await test_.raw(`GET /1 HTTP/1.1\r\n${HOST}\r\nGET /2 HTTP/1.1\r\n${HOST}\r\n`)
    expect(answer.match(/"target":"\/\d"/g)).toEqual(['"target":"/1"', '"target":"/2"'])
  })

  test('a request hidden in the content of another is content', async () => {
    await using test_ = await openTest(echo)
    const hidden = `GET /2 HTTP/1.1\r\n${HOST}\r\n`
    const answer = await test_.raw(
      `POST /1 HTTP/1.1\r\n${HOST}Content-Length: ${hidden.length}\r\n\r\n${hidden}`,
    )
    expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(1)
    expect(test_.records.map((record) => record.target)).toEqual(['/1'])
  })
})

test('garbage behind a request whose response has begun cuts the connection and adds nothing to it', async () => {
  await using test_ = await openTest({
    handle(_incoming, outgoing) {
      outgoing.writeHead(200, { 'Content-Length': '10' })
      outgoing.write('half')
      return Promise.resolve()
    },
  })
  const socket = await test_.connect()
  const answer = readAll(socket)
  socket.write(`GET / HTTP/1.1\r\n${HOST}\r\n`)
  socket.once('data', () => socket.write('\0\0\0\0\r\n\r\n'))
  expect((await answer).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200'])
})
