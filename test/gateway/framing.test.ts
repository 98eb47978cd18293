import { describe, expect, test } from 'vitest'

import { ask, proxyTo, recorder } from './recorder.ts'

interface Case {
  /** The request behind `Host: h`, or from its first byte on when it names a method. */
  readonly bytes: string
  readonly status: number
  /** Whole requests that reached the upstream; default 0 for a refusal and 1 else. */
  readonly forwarded?: number
  /** Default closed for a refusal and open else. */
  readonly after?: 'open' | 'closed'
  /** The content that the upstream got. */
  readonly content?: string
}

const post = (fields: string, content = ''): string =>
  `POST /x HTTP/1.1\r\nHost: h\r\n${fields}\r\n${content}`
const get = (fields = '', target = '/x'): string => `GET ${target} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`
const te = (value: string, content = '0\r\n\r\n'): string => post(`Transfer-Encoding:${value}\r\n`, content)
const chunked = (content: string): string => te(' chunked', content)
const length = (value: string, content = 'ab'): string => post(`Content-Length:${value}\r\n`, content)
const refused = (status = 400): Pick<Case, 'status'> => ({ status })
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n'

interface Outcome {
  readonly statuses: readonly number[]
  readonly after: string
  readonly forwarded: number
  readonly content: string | undefined
}

async function outcomeOf({ bytes, content }: Case): Promise<Outcome> {
  await using upstream = await recorder()
  await using gateway = await proxyTo(upstream.origin)
  const { statuses, after } = await ask(gateway.gateway.port, bytes)
  const seen = upstream.requests.filter((request) => !request.startsWith('GET /probe '))
  // No byte of a request may become the start of another one, whole or not.
  expect(upstream.connections.join('')).not.toMatch(/\/hidden/)
  // Whatever came in, the next client is served.
  expect((await ask(gateway.gateway.port, get())).statuses).toEqual([200])
  return {
    statuses,
    after,
    forwarded: seen.length,
    content: content === undefined ? undefined : contentOf(seen[0] ?? ''),
  }
}

/** Chunks joined; a trailer section stays behind a bar. */
function contentOf(request: string): string {
  const start = request.indexOf('\r\n\r\n') + 4
  const body = request.slice(start)
  if (!/\r\ntransfer-encoding: chunked\r\n/i.test(request.slice(0, start))) return body
  let content = ''
  for (let rest = body; ;) {
    const size = Number.parseInt(rest, 16)
    const at = rest.indexOf('\r\n') + 2
    if (size === 0) return rest.slice(at) === '\r\n' ? content : `${content}|${rest.slice(at)}`
    content += rest.slice(at, at + size)
    rest = rest.slice(at + size + 2)
  }
}

function table(cases: Readonly<Record<string, Case>>): void {
  test.concurrent.each(Object.entries(cases))('%s', async (_name, one) => {
    const ok = one.status < 400
    expect(await outcomeOf(one)).toEqual({
      statuses: [one.status],
      after: one.after ?? (ok ? 'open' : 'closed'),
      forwarded: one.forwarded ?? (ok ? 1 : 0),
      content: one.content,
    })
  })
}

describe('the length of the content, said twice or oddly', () => {
  table({
    'CL.TE: Content-Length and chunked': {
      bytes: post(`Content-Length: 6\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${HIDDEN}`),
      ...refused(),
    },
    'TE.CL: chunked and Content-Length': {
      bytes: post(`Transfer-Encoding: chunked\r\nContent-Length: 4\r\n`, `5c\r\n${HIDDEN}\r\n0\r\n\r\n`),
      ...refused(),
    },
    'TE.TE: two fields, one hidden from lenient parsers': {
      bytes: post('Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n', `0\r\n\r\n${HIDDEN}`),
      ...refused(),
    },
    'two equal Transfer-Encoding fields': {
      bytes: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
      ...refused(),
    },
    'chunked, chunked': { bytes: te(' chunked, chunked'), ...refused() },
    'xchunked is a coding we do not know': { bytes: te(' xchunked'), ...refused(501) },
    'gzip, chunked is a coding we do not undo': { bytes: te(' gzip, chunked'), ...refused(501) },
    'identity, which RFC 9112 took out': { bytes: te(' identity', ''), ...refused(501) },
    'chunked, identity: the end cannot be found': { bytes: te(' chunked, identity'), ...refused() },
    'an empty coding': { bytes: te(''), ...refused(501) },
    'a quoted coding': { bytes: te(' "chunked"'), ...refused(501) },
    'chunked;x=y has no parameters': { bytes: te(' chunked;x=y'), ...refused(501) },
    'a space before the colon': { bytes: post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'), ...refused() },
    'a vertical tab before chunked': { bytes: te(' \x0bchunked'), ...refused() },
    'a form feed behind chunked': { bytes: te(' chunked\x0c'), ...refused() },
    'a NUL behind chunked': { bytes: te(' chunked\0'), ...refused() },
    'a byte 0x80 before chunked': { bytes: te(' \x80chunked'), ...refused(501) },
    'CHUNKED is chunked': { bytes: te(' CHUNKED', '2\r\nab\r\n0\r\n\r\n'), status: 200, content: 'ab' },
    'spaces around chunked are none of it': {
      bytes: te('   chunked  ', '2\r\nab\r\n0\r\n\r\n'),
      status: 200,
      content: 'ab',
    },
    'a tab behind chunked, which Node’s parser refuses though RFC 9110 section 5.6.3 takes it for a space': {
      bytes: te(' chunked\t', '2\r\nab\r\n0\r\n\r\n'),
      ...refused(),
    },
    'chunked in HTTP/1.0': {
      bytes: `POST /x HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      ...refused(),
    },
    'two different lengths': {
      bytes: post('Content-Length: 2\r\nContent-Length: 3\r\n', 'abc'),
      ...refused(),
    },
    'two equal lengths, which RFC 9110 section 8.6 lets us refuse': {
      bytes: post('Content-Length: 2\r\nContent-Length: 2\r\n', 'ab'),
      ...refused(),
    },
    'a list of lengths': { bytes: length(' 2, 2'), ...refused() },
    'a plus sign': { bytes: length(' +2'), ...refused() },
    'a minus sign': { bytes: length(' -2'), ...refused() },
    'a hexadecimal length': { bytes: length(' 0x2'), ...refused() },
    'an underscore in a length': { bytes: length(' 2_0'), ...refused() },
    'a space in a length': { bytes: length(' 2 0'), ...refused() },
    'a point in a length': { bytes: length(' 2.0'), ...refused() },
    'an empty length': { bytes: length('', ''), ...refused() },
    'a length beyond 64 bits': { bytes: length(' 18446744073709551618'), ...refused() },
    'a length beyond what a number can hold exactly': { bytes: length(' 9007199254740993'), ...refused(413) },
    'zeros before a length': { bytes: length(' 0002'), status: 200, content: 'ab' },
    'a length of 0': { bytes: length(' 0', ''), status: 200, content: '' },
    'spaces around a length': { bytes: length('  2  '), status: 200, content: 'ab' },
    'a tab behind a length, which Node’s parser refuses though RFC 9110 section 5.6.3 takes it for a space': {
      bytes: length(' 2\t'),
      ...refused(),
    },
  })
})

describe('chunks', () => {
  table({
    'in hexadecimal, in either case, with zeros before': {
      bytes: chunked('0a\r\n0123456789\r\n000A\r\n0123456789\r\n0\r\n\r\n'),
      status: 200,
      content: '01234567890123456789',
    },
    'a size of 0x2': { bytes: chunked('0x2\r\nab\r\n0\r\n\r\n'), ...refused() },
    'a size of +2': { bytes: chunked('+2\r\nab\r\n0\r\n\r\n'), ...refused() },
    'a size of -2': { bytes: chunked('-2\r\nab\r\n0\r\n\r\n'), ...refused() },
    'a space before the size': { bytes: chunked(' 2\r\nab\r\n0\r\n\r\n'), ...refused() },
    'a size of 17 digits': { bytes: chunked('10000000000000002\r\nab\r\n0\r\n\r\n'), ...refused() },
    'no size': { bytes: chunked('\r\nab\r\n0\r\n\r\n'), ...refused() },
    'an extension is dropped: it is between us and the client': {
      bytes: chunked('2;name=value\r\nab\r\n0;last\r\n\r\n'),
      status: 200,
      content: 'ab',
    },
    'an extension with a bare LF': { bytes: chunked(`2;a\nab\r\n0\r\n\r\n`), ...refused() },
    'an extension that ends in a bare LF and hides a request': {
      bytes: chunked(`2;\nxx\r\n4c\r\n0\r\n\r\n${HIDDEN}`),
      ...refused(),
    },
    'an extension with a control': { bytes: chunked('2;a\x01\r\nab\r\n0\r\n\r\n'), ...refused() },
    'an extension with a bare CR': { bytes: chunked('2;a\rb\r\nab\r\n0\r\n\r\n'), ...refused() },
    'extensions without end': {
      bytes: chunked(`1;${'a'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`),
      ...refused(413),
    },
    'a size ended by a bare LF': { bytes: chunked('2\nab\r\n0\r\n\r\n'), ...refused() },
    'data ended by a bare LF': { bytes: chunked('2\r\nab\n0\r\n\r\n'), ...refused() },
    'the last chunk ended by a bare LF': { bytes: chunked(`0\n\r\n`), ...refused() },
    'the trailer section ended by a bare LF': { bytes: chunked(`0\r\n\n${HIDDEN}`), ...refused() },
    'data that does not end where its size says': { bytes: chunked('2\r\nabc\r\n0\r\n\r\n'), ...refused() },
    'data behind which nothing follows but the next size': {
      bytes: chunked('2\r\nab0\r\n\r\n'),
      ...refused(),
    },
    'trailers are dropped, so that none can pass for a field': {
      bytes: chunked('2\r\nab\r\n0\r\nX-Sum: 1\r\nHost: evil\r\nX-Forwarded-For: evil\r\n\r\n'),
      status: 200,
      content: 'ab',
    },
    'a trailer that gives the length again': {
      bytes: chunked('2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n'),
      ...refused(),
    },
    'a trailer that gives the coding again': {
      bytes: chunked(`2\r\nab\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`),
      ...refused(),
    },
    'a trailer that is no field': { bytes: chunked('0\r\nno colon\r\n\r\n'), ...refused() },
    'a trailer with a bare LF': { bytes: chunked('0\r\nX: a\nY: b\r\n\r\n'), ...refused() },
    'trailers without end': {
      bytes: chunked(`0\r\n${`X: ${'a'.repeat(1_000)}\r\n`.repeat(20)}\r\n`),
      ...refused(431),
    },
  })
})

describe('lines and names', () => {
  table({
    'lines that end in a bare LF': { bytes: 'GET /x HTTP/1.1\nHost: h\n\n', ...refused() },
    'one line that ends in a bare LF': { bytes: 'GET /x HTTP/1.1\r\nHost: h\nX: a\r\n\r\n', ...refused() },
    'a request line that ends in a bare LF': { bytes: 'GET /x HTTP/1.1\nHost: h\r\n\r\n', ...refused() },
    'a head that ends in a bare LF': { bytes: 'GET /x HTTP/1.1\r\nHost: h\r\n\n', ...refused() },
    'a bare CR in a value': { bytes: get('X: a\rb\r\n'), ...refused() },
    'a bare CR that hides a field': { bytes: get('X: a\rTransfer-Encoding: chunked\r\n'), ...refused() },
    'a bare CR in the request line': { bytes: 'GET /x\r HTTP/1.1\r\nHost: h\r\n\r\n', ...refused() },
    'a NUL in a value': { bytes: get('X: a\0b\r\n'), ...refused() },
    'a NUL in a name': { bytes: get('X\0: a\r\n'), ...refused() },
    'a NUL in the target': { bytes: get('', '/a\0b'), ...refused() },
    'a control in a value': { bytes: get('X: a\x01b\r\n'), ...refused() },
    'a DEL in a value': { bytes: get('X: a\x7fb\r\n'), ...refused() },
    'a folded value': { bytes: get('X: a\r\n b\r\n'), ...refused() },
    'a fold before the first field': { bytes: 'GET /x HTTP/1.1\r\n Host: h\r\n\r\n', ...refused() },
    'a fold with a tab': { bytes: get('X: a\r\n\tb\r\n'), ...refused() },
    'a space in a name': { bytes: get('X Y: a\r\n'), ...refused() },
    'a space behind a name': { bytes: get('X : a\r\n'), ...refused() },
    'an empty name': { bytes: get(': a\r\n'), ...refused() },
    'a name with a bracket': { bytes: get('X(: a\r\n'), ...refused() },
    'a name beyond ASCII': { bytes: get('X\xe9: a\r\n'), ...refused() },
    'a line without a colon': { bytes: get('XY\r\n'), ...refused() },
    'bytes from 0x80 on in a value are old, and pass': { bytes: get('X: \xe9\r\n'), status: 200 },
    'a tab within a value passes': { bytes: get('X: a\tb\r\n'), status: 200 },
    'an empty value passes': { bytes: get('X:\r\n'), status: 200 },
    'one empty line before the request is ignored': { bytes: `\r\n${get()}`, status: 200 },
    'nothing but spaces before the request': { bytes: ` ${get()}`, ...refused() },
    'a TLS ClientHello on the port of http': {
      bytes: '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
      ...refused(),
    },
  })
})

describe('the request line', () => {
  table({
    'HTTP/2.0': { bytes: 'GET /x HTTP/2.0\r\nHost: h\r\n\r\n', ...refused(505) },
    'HTTP/0.9, without a version': { bytes: 'GET /x\r\n\r\n', ...refused(505) },
    'HTTP/0.9, with one': { bytes: 'GET /x HTTP/0.9\r\nHost: h\r\n\r\n', ...refused(505) },
    'HTTP/1.10': { bytes: 'GET /x HTTP/1.10\r\nHost: h\r\n\r\n', ...refused(505) },
    'HTTP/1.9: no version that we know how to answer': {
      bytes: 'GET /x HTTP/1.9\r\nHost: h\r\n\r\n',
      ...refused(505),
    },
    'http/1.1 in lower case': { bytes: 'GET /x http/1.1\r\nHost: h\r\n\r\n', ...refused() },
    'another protocol': { bytes: 'GET /x ICY/1.1\r\nHost: h\r\n\r\n', ...refused() },
    'two spaces, which RFC 9112 section 3 lets us read as one; one is what goes on': {
      bytes: 'GET  /x HTTP/1.1\r\nHost: h\r\n\r\n',
      status: 200,
    },
    'a tab for a space': { bytes: 'GET\t/x HTTP/1.1\r\nHost: h\r\n\r\n', ...refused() },
    'a space in the target': { bytes: get('', '/a b'), ...refused() },
    'a control in the target': { bytes: get('', '/a\x01b'), ...refused() },
    'raw UTF-8 in the target': { bytes: get('', '/\xc3\xa9'), ...refused() },
    'a fragment': { bytes: get('', '/a#b'), ...refused() },
    'a target without a slash': { bytes: get('', 'a'), ...refused() },
    'a query as target': { bytes: get('', '?a'), ...refused() },
    'a target of another scheme': { bytes: get('', 'ftp://h/'), ...refused() },
    'a target of javascript': { bytes: get('', 'javascript:alert(1)'), ...refused() },
    'a target of file': { bytes: get('', 'file:///etc/passwd'), ...refused() },
    'a target with user information': { bytes: get('', 'http://u:p@h/'), ...refused() },
    'a target with no host': { bytes: get('', 'http:///x'), ...refused() },
    '* of GET': { bytes: get('', '*'), ...refused() },
    'CONNECT, which asks for a forward proxy': {
      bytes: 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
      ...refused(405),
    },
    'OPTIONS * asks this server, not one behind it': {
      bytes: 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n',
      status: 200,
      forwarded: 0,
    },
    'PROPFIND, one of many methods that Node knows': {
      bytes: 'PROPFIND /x HTTP/1.1\r\nHost: h\r\n\r\n',
      status: 200,
    },
    'a method that nobody knows: Node’s parser has a list': {
      bytes: 'BREW /x HTTP/1.1\r\nHost: h\r\n\r\n',
      ...refused(501),
    },
    'a method of 40 bytes': { bytes: `${'A'.repeat(40)} /x HTTP/1.1\r\nHost: h\r\n\r\n`, ...refused(501) },
    'a method in lower case is another method, which nobody knows': {
      bytes: 'get /x HTTP/1.1\r\nHost: h\r\n\r\n',
      ...refused(501),
    },
    'a target that alone fills the head': { bytes: get('', `/${'a'.repeat(20_000)}`), ...refused(414) },
    'a target of 8 000 bytes passes': { bytes: get('', `/${'a'.repeat(8_000)}`), status: 200 },
    'a head of 20 KB': { bytes: get(`X: ${'a'.repeat(20_000)}\r\n`), ...refused(431) },
    '1 001 fields': { bytes: get('a: b\r\n'.repeat(1_001)), ...refused(431) },
    'a cookie of 12 KB passes': { bytes: get(`Cookie: ${'a'.repeat(12_000)}\r\n`), status: 200 },
  })
})

describe('Host', () => {
  const host = (value: string, target = '/x'): string => `GET ${target} HTTP/1.1\r\nHost:${value}\r\n\r\n`
  table({
    none: { bytes: 'GET /x HTTP/1.1\r\n\r\n', ...refused() },
    two: { bytes: get('Host: other\r\n'), ...refused() },
    'two equal ones': { bytes: get('Host: h\r\n'), ...refused() },
    'two, of which one is empty': { bytes: get('Host:\r\n'), ...refused() },
    'a slash': { bytes: host(' a/b'), ...refused() },
    'user information': { bytes: host(' u@a'), ...refused() },
    'a backslash': { bytes: host(' a\\b'), ...refused() },
    'a space': { bytes: host(' a b'), ...refused() },
    'a tab': { bytes: host(' a\tb'), ...refused() },
    'a list': { bytes: host(' a, b'), ...refused() },
    'a query': { bytes: host(' a?b'), ...refused() },
    'a port that is none': { bytes: host(' a:8x'), ...refused() },
    'two ports': { bytes: host(' a:80:81'), ...refused() },
    'a port too high': { bytes: host(' a:65536'), ...refused() },
    'a broken IPv6 address': { bytes: host(' [::1'), ...refused() },
    'a byte beyond ASCII': { bytes: host(' \xe9'), ...refused() },
    'a control': { bytes: host(' a\x01'), ...refused() },
    'an IPv6 address with a port': { bytes: host(' [::1]:8069'), status: 200 },
    'an empty port': { bytes: host(' a:'), status: 200 },
    'a name of a service with an underscore': { bytes: host(' my_app:80'), status: 200 },
    'an empty Host, as RFC 9112 section 3.2 has it for targets without authority': {
      bytes: host(''),
      status: 200,
    },
    'another one than that of the absolute-form, which wins': {
      bytes: host(' b', 'http://a/x'),
      status: 200,
    },
    'none in HTTP/1.0': { bytes: 'GET /x HTTP/1.0\r\n\r\n', status: 200, after: 'closed' },
  })
})

describe('content where none is expected', () => {
  table({
    'of GET': { bytes: get('Content-Length: 2\r\n') + 'ab', status: 200, content: 'ab' },
    'of DELETE': {
      bytes: 'DELETE /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab',
      status: 200,
      content: 'ab',
    },
    'of OPTIONS, in chunks': {
      bytes: 'OPTIONS /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
      status: 200,
      content: 'ab',
    },
    'of GET, that looks like a request': {
      bytes: get(`Content-Length: ${HIDDEN.length}\r\n`) + HIDDEN.replace('/hidden', '/inside'),
      status: 200,
      content: HIDDEN.replace('/hidden', '/inside'),
    },
    'early, with Expect: 100-continue: it needs no 100, and Node ends a connection on which it sent none': {
      bytes: post('Expect: 100-continue\r\nContent-Length: 2\r\n', 'ab'),
      status: 200,
      after: 'closed',
      content: 'ab',
    },
    'none, with Expect: 100-continue': {
      bytes: get('Expect: 100-continue\r\n'),
      status: 200,
      after: 'closed',
      content: '',
    },
    'for an expectation that nobody can meet': {
      bytes: post('Expect: 200-ok\r\nContent-Length: 2\r\n', 'ab'),
      status: 417,
      after: 'closed',
      forwarded: 0,
    },
  })
})
