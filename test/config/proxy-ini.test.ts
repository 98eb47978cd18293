import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { parseProxyIni, type ProxyIniEntry } from '../../src/config/proxy-ini.ts'
import { matchRoute } from '../../src/gateway/route-table.ts'
import { formatFault } from '../../src/core/place.ts'

const parse = (text: string) => parseProxyIni(text, 'proxy.ini')
const pairs = (text: string) => parse(text).entries.map(({ key, value }) => [key, value])
const printed = (text: string) => parse(text).faults.map(formatFault)
const only = (text: string): ProxyIniEntry => {
  const { entries } = parse(text)
  expect(entries).toHaveLength(1)
  return entries[0] as ProxyIniEntry
}

describe('lines', () => {
  const VECTOR = '# comment\n   # indented comment\n \t \n\nfoo =     bar\nbaz= qux# more\nbar =foo\nqaz=foo'

  test("gives four keys and three values for FlexiLib's own test text", () => {
    expect(parse(VECTOR).faults).toEqual([])
    expect(pairs(VECTOR)).toEqual([
      ['foo', 'bar'],
      ['baz', 'qux'],
      ['bar', 'foo'],
      ['qaz', 'foo'],
    ])
    expect(new Set(pairs(VECTOR).map(([, value]) => value)).size).toBe(3)
  })

  test('reads CRLF as LF, which FlexiLib does not', () => {
    expect(pairs(VECTOR.replaceAll('\n', '\r\n'))).toEqual(pairs(VECTOR))
    expect(parse(VECTOR.replaceAll('\n', '\r\n')).faults).toEqual([])
    expect(only('a = b\r\n').text).toBe('a = b')
  })

  test('keeps a lone carriage return, which ends no line', () => {
    expect(pairs('a = b\rc')).toEqual([['a', 'b\rc']])
  })

  test('trims spaces and tabs, and no other blank', () => {
    expect(pairs('\t /a \t=\t b\u00a0 \t')).toEqual([['/a', 'b\u00a0']])
  })

  test('cuts at the first #, wherever it stands', () => {
    expect(pairs('/a = b#c#d\n/b#= x')).toEqual([['/a', 'b']])
  })

  test('skips a line without a key', () => {
    expect(parse('= foo\n  = foo = bar\n==\n')).toEqual({ entries: [], faults: [] })
  })

  test('keeps file order, because the first match wins', () => {
    expect(pairs('/ = z\n/c = y\n/a = x').map(([key]) => key)).toEqual(['/', '/c', '/a'])
  })

  test('knows where key and value start', () => {
    expect(only('\n  /a =  b')).toMatchObject({
      place: { file: 'proxy.ini', line: 2, column: 3 },
      valuePlace: { line: 2, column: 9 },
      text: '  /a =  b',
    })
  })
})

describe('faults', () => {
  test('reports every wrong line at once', () => {
    expect(printed('[section]\n/a = x\n; note\n  word\n/a = y\n')).toEqual([
      'proxy.ini:1:1  no value for the key "[section]"\n' +
        '  1 | [section]\n' +
        '    | ^\n' +
        '  Write "key = target". proxy.ini has no sections.',
      'proxy.ini:3:1  no value for the key "; note"\n' +
        '  3 | ; note\n' +
        '    | ^\n' +
        '  Write "key = target". A comment starts with "#".',
      'proxy.ini:4:3  no value for the key "word"\n' +
        '  4 |   word\n' +
        '    |   ^\n' +
        '  Write "key = target".',
      'proxy.ini:5:1  the key "/a" is already on line 2\n' +
        '  5 | /a = y\n' +
        '    | ^\n' +
        '  Remove one of the two lines.',
    ])
  })

  test('names the first line for each repetition, and keeps the first entry', () => {
    const { entries, faults } = parse('/a = 1\n/b = 2\n/a = 3\n/a = 4')
    expect(entries.map(({ value }) => value)).toEqual(['1', '2'])
    expect(faults.map(({ message }) => message)).toEqual(Array(2).fill('the key "/a" is already on line 1'))
  })

  test('drops what follows a second "=", as FlexiLib does, and says so', () => {
    expect(only('a = b=c = d # e').value).toBe('b')
    expect(parse('a = b=c = d # e').faults).toMatchObject([
      {
        severity: 'warning',
        place: { line: 1, column: 6 },
        message: '"=c = d" is ignored: a value ends at the second "="',
      },
    ])
  })

  test('accepts an empty value, as FlexiLib does, and warns', () => {
    expect(only('/a = # later').value).toBe('')
    expect(parse('/a =').faults).toMatchObject([{ severity: 'warning', place: { column: 5 } }])
  })

  test('warns of a header key without a path, which never matches', () => {
    expect(only('Host: iam = x').matcher).toEqual({
      kind: 'field',
      name: 'host',
      valuePrefix: 'iam',
      pathPrefix: undefined,
    })
    expect(printed('Host: iam = x')).toEqual([
      'proxy.ini:1:1  never matches: the path prefix is missing\n' +
        '  1 | Host: iam = x\n' +
        '    | ^\n' +
        '  Write "Host: iam /" to take every path.',
    ])
  })

  test.each(['Host : x / = y', '/a:b = y', ': x / = y'])('warns that %s never matches', (line) => {
    expect(parse(line).faults).toMatchObject([
      { severity: 'warning', message: expect.stringMatching(/^never matches: /) },
    ])
  })
})

describe('keys', () => {
  test('a key without a colon is a prefix of the target', () => {
    expect(only('/c = x').matcher).toEqual({ kind: 'prefix', prefix: '/c' })
  })

  test('a key with a colon is field name, value prefix and path prefix', () => {
    const field = { kind: 'field', name: 'host', valuePrefix: 'iam', pathPrefix: '/' }
    expect(only('Host: iam / = x').matcher).toEqual(field)
    expect(only('HOST:iam / = x').matcher).toEqual(field)
    expect(only('hoSt: \tiam / = x').matcher).toEqual(field)
  })

  test('keeps the case of a value prefix', () => {
    expect(only('Host: IaM /C = x').matcher).toMatchObject({ valuePrefix: 'IaM', pathPrefix: '/C' })
  })

  test('does not trim a name on its right, so that it never matches', () => {
    expect(only('Host : x / = y').matcher).toMatchObject({ name: 'host ', pathPrefix: '/' })
  })

  test('takes the second of two spaces as an empty path prefix, which every path has', () => {
    expect(only('Host: iam  /foo = x').matcher).toMatchObject({ valuePrefix: 'iam', pathPrefix: '' })
    expect(parse('Host: iam  /foo = x').faults).toMatchObject([{ severity: 'warning' }])
  })

  test('ignores what follows the path prefix', () => {
    expect(only('Accept: text/html / more = x').matcher).toMatchObject({ pathPrefix: '/' })
  })

  test('does not split at a tab', () => {
    expect(only('Host: iam\t/foo = x').matcher).toMatchObject({
      valuePrefix: 'iam\t/foo',
      pathPrefix: undefined,
    })
  })

  test('a colon alone is a field of any value, without a path', () => {
    expect(only('Host: = x').matcher).toMatchObject({ valuePrefix: '', pathPrefix: undefined })
  })

  test('splits at the first colon only', () => {
    expect(only('Host: localhost:8069 /a:b = x').matcher).toMatchObject({
      valuePrefix: 'localhost:8069',
      pathPrefix: '/a:b',
    })
  })

  test('compares bytes: a prefix beyond ASCII has the form in which Node hands out fields', () => {
    const { matcher } = only('X-Name: Zoë /é = x')
    expect(matcher).toMatchObject({
      valuePrefix: Buffer.from('Zoë').toString('latin1'),
      pathPrefix: Buffer.from('/é').toString('latin1'),
    })
  })
})

describe('matching', () => {
  const IAM = 'Host: iam / = 1\n/c = 2\n/ = 3'
  const asked = (text: string, target: string, host?: string): string | undefined => {
    const routes = parse(text).entries.map(({ matcher, key, value, place }) => ({
      rule: {
        matcher,
        pattern: key,
        origin: place,
        target: { kind: 'function', name: value } as const,
      },
      fetcher: { handle: () => Promise.resolve() },
    }))
    const fields = host === undefined ? ['Accept', '*/*'] : ['Accept', '*/*', 'hOsT', host, 'Host', 'second']
    const match = matchRoute({ routes, functions: new Map() }, { method: 'GET', target, fields })
    return match === undefined ? undefined : match.route.rule.pattern
  }

  test.each([
    [IAM, '/anything', 'iam.aws.x', 'Host: iam /'],
    [IAM, '/', 'IAM.x', '/'],
    [IAM, '/cat?x=1', undefined, '/c'],
    [IAM, '/c', 'iamx', 'Host: iam /'],
    [IAM, '/C', 'other', '/'],
    ['Host: iam  /foo = 1', '/bar', 'iam', 'Host: iam  /foo'],
    ['Host: iam = 1', '/', 'iam', undefined],
    ['Host: second / = 1', '/', 'first', undefined],
    ['Host : iam / = 1', '/', 'iam', undefined],
    ['/ = 1', 'http://h/x', 'h', undefined],
    ['/ = 1', '*', 'h', undefined],
    ['/a%2Fb = 1', '/a/b', undefined, undefined],
  ])('%j asked for %s of %s is answered by %s', (text, target, host, pattern) => {
    expect(asked(text, target, host)).toBe(pattern)
  })
})

describe('any text', () => {
  const name = fc.stringMatching(/^[!-"$-9;<>-~]([ -"$-9;<>-~]{0,10}[!-"$-9;<>-~])?$/)
  const blank = fc.stringMatching(/^[ \t]{0,3}$/)
  const line = fc.record({ key: name, value: name, blanks: fc.array(blank, { minLength: 4, maxLength: 4 }) })
  const lines = fc.uniqueArray(line, { selector: ({ key }) => key, maxLength: 20 })
  const end = fc.constantFrom('\n', '\r\n')
  const noise = fc.constantFrom('', '# note', '   ', '\t# = :', '= orphan')

  test('what is printed is read again, in order and with its places', () => {
    fc.assert(
      fc.property(lines, end, noise, (wanted, eol, between) => {
        const text = wanted
          .map(({ key, value, blanks: [a, b, c, d] }) => `${a}${key}${b}=${c}${value}${d}${eol}${between}`)
          .join(eol)
        const { entries, faults } = parse(text)
        expect(faults).toEqual([])
        expect(entries.map(({ key, value }) => ({ key, value }))).toEqual(
          wanted.map(({ key, value }) => ({ key, value })),
        )
        for (const { key, value, place, valuePlace, text: source } of entries) {
          expect(source.slice(place.column - 1)).toMatch(
            new RegExp(`^${key.replaceAll(/[^\w ]/g, String.raw`\$&`)}`),
          )
          expect(source.slice(valuePlace.column - 1).startsWith(value)).toBe(true)
          expect(text.split(eol)[place.line - 1]).toBe(source)
        }
      }),
    )
  })

  const soup = fc
    .array(fc.constantFrom('=', '#', ':', ' ', '\t', '\r', '\n', '/', 'Host', 'é', '[', '\0', '😀'), {
      maxLength: 60,
    })
    .map((parts) => parts.join(''))

  test('never throws, and every fault points into its line', () => {
    fc.assert(
      fc.property(fc.oneof(soup, fc.string({ unit: 'grapheme' })), (text) => {
        const source = text.split(/\r?\n/)
        const { entries, faults } = parse(text)
        const astray = [...entries, ...faults].filter(({ place, text: shown = '' }) => {
          const inside = place.column >= 1 && place.column <= shown.length + 1
          return shown !== source[place.line - 1] || !inside
        })
        expect(astray).toEqual([])
        expect(new Set(entries.map(({ key }) => key)).size).toBe(entries.length)
      }),
    )
  })

  test('every line that has a key is an entry or a fault, and no other line is', () => {
    fc.assert(
      fc.property(soup, (text) => {
        const withKey = text
          .split(/\r?\n/)
          .flatMap((source, index) =>
            /^[ \t]*[^ \t#=]/.test(source.replace(/#.*$/s, '')) ? [index + 1] : [],
          )
        const { entries, faults } = parse(text)
        const errors = faults.filter(({ severity }) => severity !== 'warning')
        const told = [...entries, ...errors].map(({ place }) => place.line).toSorted((a, b) => a - b)
        expect(told).toEqual(withKey)
      }),
    )
  })
})
