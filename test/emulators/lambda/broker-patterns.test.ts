import {
  assert,
  constantFrom,
  dictionary,
  jsonValue,
  oneof,
  property,
  string,
  array,
  double,
} from 'fast-check'
import { describe, expect, test } from 'vitest'

import { compileFilterPolicy } from '../../../src/emulators/lambda/patterns/filter-policy.ts'
import { compilePattern, parsePattern } from '../../../src/emulators/lambda/patterns/pattern.ts'
import { wildcardMatcher } from '../../../src/emulators/lambda/patterns/wildcard.ts'

const EVENT = {
  version: '0',
  'detail-type': 'EC2 Instance State-change Notification',
  source: 'aws.ec2',
  region: 'us-east-1',
  resources: [
    'arn:aws:ec2:us-east-1:123456789012:instance/i-0',
    'arn:aws:ec2:us-east-1:123456789012:volume/v-1',
  ],
  detail: {
    state: 'Running',
    count: 300,
    price: 10.5,
    ok: true,
    nothing: null,
    empty: '',
    none: [],
    address: '10.0.0.123',
    address6: '2001:db8::17',
    path: 'photos/2026/cat.PNG',
    tags: ['a', 'b'],
    people: [
      { name: 'ada', age: 36 },
      { name: 'alan', age: 41 },
    ],
    matrix: [['x'], ['y', 'z']],
  },
}

/** Pattern of the detail, and whether it matches. */
const DETAILS: readonly (readonly [object, boolean])[] = [
  [{ state: ['Running'] }, true],
  [{ state: ['running'] }, false],
  [{ state: ['Stopped', 'Running'] }, true],
  [{ state: ['Running'], count: [300] }, true],
  [{ state: ['Running'], count: [301] }, false],
  [{ count: [3.0e2] }, true],
  [{ count: ['300'] }, false],
  [{ ok: [true] }, true],
  [{ ok: ['true'] }, false],
  [{ ok: [false] }, false],
  [{ nothing: [null] }, true],
  [{ missing: [null] }, false],
  [{ empty: [null] }, false],
  [{ empty: [''] }, true],
  [{ nothing: [''] }, false],
  [{ tags: ['b', 'c'] }, true],
  [{ tags: ['c'] }, false],
  [{ matrix: ['z'] }, true],
  [{ path: [{ prefix: 'photos/' }] }, true],
  [{ path: [{ prefix: 'Photos/' }] }, false],
  [{ path: [{ prefix: { 'equals-ignore-case': 'PHOTOS/' } }] }, true],
  [{ path: [{ suffix: '.png' }] }, false],
  [{ path: [{ suffix: '.PNG' }] }, true],
  [{ path: [{ suffix: { 'equals-ignore-case': '.png' } }] }, true],
  [{ count: [{ prefix: '3' }] }, false],
  [{ state: [{ 'equals-ignore-case': 'rUNNING' }] }, true],
  [{ state: [{ 'equals-ignore-case': 'runnin' }] }, false],
  [{ state: [{ 'anything-but': 'Stopped' }] }, true],
  [{ state: [{ 'anything-but': ['Stopped', 'Running'] }] }, false],
  [{ count: [{ 'anything-but': [1, 2] }] }, true],
  [{ count: [{ 'anything-but': 300 }] }, false],
  [{ missing: [{ 'anything-but': 'x' }] }, false],
  [{ nothing: [{ 'anything-but': 'x' }] }, true],
  [{ tags: [{ 'anything-but': 'a' }] }, true],
  [{ tags: [{ 'anything-but': ['a', 'b'] }] }, false],
  [{ path: [{ 'anything-but': { prefix: 'photos' } }] }, false],
  [{ path: [{ 'anything-but': { prefix: ['films', 'books'] } }] }, true],
  [{ path: [{ 'anything-but': { suffix: '.PNG' } }] }, false],
  [{ path: [{ 'anything-but': { suffix: ['.jpg', '.gif'] } }] }, true],
  [{ state: [{ 'anything-but': { 'equals-ignore-case': 'RUNNING' } }] }, false],
  [{ state: [{ 'anything-but': { 'equals-ignore-case': ['stopped', 'pending'] } }] }, true],
  [{ path: [{ 'anything-but': { wildcard: 'photos/*/cat.*' } }] }, false],
  [{ path: [{ 'anything-but': { wildcard: ['*.jpg', 'films/*'] } }] }, true],
  [{ count: [{ numeric: ['=', 300] }] }, true],
  [{ count: [{ numeric: ['>', 300] }] }, false],
  [{ count: [{ numeric: ['>=', 300, '<', 301] }] }, true],
  [{ count: [{ numeric: ['>', 0, '<', 300] }] }, false],
  [{ price: [{ numeric: ['<=', 10.5] }] }, true],
  [{ state: [{ numeric: ['>', 0] }] }, false],
  [{ state: [{ exists: true }] }, true],
  [{ nothing: [{ exists: true }] }, true],
  [{ missing: [{ exists: true }] }, false],
  [{ missing: [{ exists: false }] }, true],
  [{ state: [{ exists: false }] }, false],
  [{ missing: { deeper: [{ exists: false }] } }, true],
  [{ none: [{ exists: true }] }, false],
  [{ none: [{ exists: false }] }, true],
  [{ missing: [{ exists: false }, 'x'] }, true],
  [{ address: [{ cidr: '10.0.0.0/24' }] }, true],
  [{ address: [{ cidr: '10.0.1.0/24' }] }, false],
  [{ address: [{ cidr: '0.0.0.0/0' }] }, true],
  [{ address6: [{ cidr: '2001:db8::/32' }] }, true],
  [{ address6: [{ cidr: '10.0.0.0/8' }] }, false],
  [{ state: [{ cidr: '10.0.0.0/8' }] }, false],
  [{ path: [{ wildcard: 'photos/*.PNG' }] }, true],
  [{ path: [{ wildcard: '*2026*' }] }, true],
  [{ path: [{ wildcard: 'photos/*.png' }] }, false],
  [{ path: [{ wildcard: 'photos' }] }, false],
  [{ people: { name: ['alan'] } }, true],
  [{ people: { name: ['alan'], age: [41] } }, true],
  [{ people: { name: ['ada'], age: [41] } }, false],
  [{ $or: [{ state: ['Stopped'] }, { count: [300] }] }, true],
  [{ $or: [{ state: ['Stopped'] }, { count: [1] }] }, false],
  [{ ok: [true], $or: [{ state: ['Stopped'] }, { count: [300] }] }, true],
  [{ ok: [false], $or: [{ state: ['Running'] }, { count: [300] }] }, false],
  [{ $or: [{ state: ['x'] }, { $or: [{ count: [1] }, { price: [10.5] }] }] }, true],
  [{ constructor: [{ exists: false }] }, true],
  [{ tags: { length: [2] } }, false],
]

describe('an event pattern', () => {
  test.each(DETAILS)('%j matches: %s', (pattern, expected) => {
    expect(compilePattern({ detail: pattern })(EVENT)).toBe(expected)
  })

  test('takes every field, and one value of each', () => {
    const pattern = { source: ['aws.ec2', 'aws.s3'], detail: { state: [{ prefix: 'R' }] } }
    expect(compilePattern(pattern)(EVENT)).toBe(true)
    expect(compilePattern({ ...pattern, region: ['eu-west-1'] })(EVENT)).toBe(false)
    expect(compilePattern({ resources: [{ suffix: 'volume/v-1' }] })(EVENT)).toBe(true)
  })

  test('never matches what is no object, and never throws for it', () => {
    const matches = compilePattern({ a: ['x'] })
    for (const event of [null, undefined, 1, 'a', [], [{ a: 'y' }]]) expect(matches(event)).toBe(false)
  })
})

const FAULTS: readonly (readonly [unknown, string])[] = [
  [[], 'Filter is not an object'],
  [{}, 'Empty patterns are not allowed'],
  [{ source: 'aws.s3' }, '"source" must be an object or an array'],
  [{ source: null }, '"source" must be an object or an array'],
  [{ source: [] }, 'Empty arrays are not allowed'],
  [{ detail: {} }, 'Empty objects are not allowed'],
  [{ a: [['x']] }, 'Arrays within a match list are not allowed'],
  [{ a: [{ begins: 'x' }] }, 'Unrecognized match type begins'],
  [{ a: [{ constructor: 'x' }] }, 'Unrecognized match type constructor'],
  [{ a: [{ numeric: ['constructor', 3] }] }, 'Unrecognized numeric range operator: constructor'],
  [{ a: [{ prefix: 'x', suffix: 'y' }] }, 'Only one key allowed in match expression'],
  [{ a: [{}] }, 'Empty match expressions are not allowed'],
  [{ a: [{ prefix: 1 }] }, 'prefix match pattern must be a string'],
  [{ a: [{ prefix: { suffix: 'x' } }] }, 'Unsupported anything within prefix: suffix'],
  [{ a: [{ exists: 'yes' }] }, 'exists match pattern must be either true or false.'],
  [{ a: [{ numeric: 3 }] }, 'Value of numeric must be an array.'],
  [{ a: [{ numeric: ['~', 3] }] }, 'Unrecognized numeric range operator: ~'],
  [{ a: [{ numeric: ['>', '3'] }] }, 'Value of numeric match operator must be numeric'],
  [{ a: [{ numeric: ['>', 3, '<', 3] }] }, 'Bottom must be less than top'],
  [{ a: [{ numeric: ['<', 3, '>', 5] }] }, 'Bad numeric range operator'],
  [{ a: [{ numeric: ['>', 3, '<', 5, '<', 6] }] }, 'Too many elements in numeric expression'],
  [{ a: [{ 'anything-but': [] }] }, 'Empty arrays are not allowed'],
  [{ a: [{ 'anything-but': ['x', 1] }] }, 'mixed type is not supported'],
  [{ a: [{ 'anything-but': { numeric: ['>', 1] } }] }, 'Unsupported anything-but pattern: numeric'],
  [{ a: [{ cidr: '10.0.0.0' }] }, 'Malformed CIDR'],
  [{ a: [{ cidr: '10.0.0.0/33' }] }, 'Malformed CIDR'],
  [{ a: [{ cidr: 'x/3' }] }, 'Malformed CIDR'],
  [{ a: [{ wildcard: 'a**b' }] }, 'Consecutive wildcard characters at pos 1'],
  [{ a: [{ wildcard: 'a\\b' }] }, 'Invalid escape character at pos 1'],
]

describe('a pattern that cannot be', () => {
  test.each(FAULTS)('%j: %s', (pattern, reason) => {
    expect(() => compilePattern(pattern)).toThrow(`Event pattern is not valid. Reason: `)
    expect(() => compilePattern(pattern)).toThrow(reason)
  })

  test('is told, when its text is no JSON', () => {
    expect(() => parsePattern('{')).toThrow('Pattern is not valid JSON')
  })

  test('is refused and never crashes us, whatever it is', () => {
    assert(
      property(jsonValue(), jsonValue(), (pattern, event) => {
        try {
          compilePattern(pattern)(event)
        } catch (error) {
          expect(error).toHaveProperty('code', 'FLEXI_CONFIG')
        }
      }),
    )
  })
})

describe('properties of patterns', () => {
  const value = oneof(
    string(),
    double({ noNaN: true, noDefaultInfinity: true }),
    constantFrom(true, false, null),
  )

  test('a pattern of an event’s own values matches it, and no longer with one value changed', () => {
    assert(
      property(dictionary(string({ minLength: 1 }), value, { minKeys: 1 }), (event) => {
        const own = (from: object): Record<string, unknown[]> =>
          Object.fromEntries(Object.entries(from).map(([name, one]) => [name, [one]]))
        const [name = ''] = Object.keys(event)
        expect(compilePattern(own(event))(event)).toBe(true)
        expect(compilePattern(own({ ...event, [name]: 'ü other ü' }))(event)).toBe(false)
      }),
    )
  })

  test('anything-but is the opposite of the list, for values that are there', () => {
    const texts = array(constantFrom('a', 'b', 'c', ''), { minLength: 1 })
    assert(
      property(texts, constantFrom('a', 'b', 'c', 'd', ''), (list, one) => {
        const but = compilePattern({ f: [{ 'anything-but': list }] })
        expect(but({ f: one })).toBe(!compilePattern({ f: list })({ f: one }))
      }),
    )
  })

  test('a wildcard means what a regular expression of it means', () => {
    const letters = array(constantFrom('a', 'b', '*', '\\*', '\\\\'), { maxLength: 8 }).map((parts) =>
      parts.filter((part, index) => part !== '*' || parts[index - 1] !== '*').join(''),
    )
    const texts = array(constantFrom('a', 'b', '*', '\\'), { maxLength: 10 }).map((parts) => parts.join(''))
    assert(
      property(letters, texts, (pattern, text) => {
        const source = pattern.replaceAll(/\\.|[*]/g, (part) => (part === '*' ? '.*' : part))
        expect(wildcardMatcher(pattern)(text)).toBe(new RegExp(`^${source}$`).test(text))
      }),
      { numRuns: 1000 },
    )
  })

  test('a wildcard with many stars is decided at once, because each part is looked for once', () => {
    const started = performance.now()
    expect(wildcardMatcher(`${'a*'.repeat(50)}b`)('a'.repeat(100_000))).toBe(false)
    expect(performance.now() - started).toBeLessThan(500)
  })
})

describe('a filter policy', () => {
  const attributes = {
    kind: { type: 'String', text: 'order' },
    total: { type: 'Number', text: '120.5' },
    tags: { type: 'String.Array', text: '["a", "b", null, 3]' },
    picture: { type: 'Binary', binary: 'AAAA' },
  }
  const message = { body: '{"kind":"mail","person":{"age":41}}', attributes }

  test.each([
    [{}, true],
    [{ kind: ['order'] }, true],
    [{ kind: ['mail'] }, false],
    [{ total: [{ numeric: ['>', 100, '<=', 120.5] }] }, true],
    [{ total: ['120.5'] }, false],
    [{ tags: ['b'] }, true],
    [{ tags: [3] }, true],
    [{ tags: ['c'] }, false],
    [{ picture: [{ exists: true }] }, false],
    [{ other: [{ exists: false }] }, true],
    [{ $or: [{ kind: ['mail'] }, { total: [120.5] }] }, true],
  ])('of attributes: %j lets it through: %s', (policy, expected) => {
    expect(compileFilterPolicy(policy)(message)).toBe(expected)
  })

  test.each([
    [{ kind: ['mail'] }, true],
    [{ kind: ['order'] }, false],
    [{ person: { age: [{ numeric: ['>', 40] }] } }, true],
  ])('of the body: %j lets it through: %s', (policy, expected) => {
    expect(compileFilterPolicy(policy, 'MessageBody')(message)).toBe(expected)
  })

  test.each(['no json', '3', 'null', '["kind"]', ''])(
    'of the body lets %j through in no case, because it is no object',
    (body) => {
      expect(compileFilterPolicy({ kind: [{ exists: false }] }, 'MessageBody')({ body, attributes })).toBe(
        false,
      )
    },
  )

  test('of attributes has no levels', () => {
    expect(() => compileFilterPolicy({ a: { b: ['c'] } })).toThrow('does not support nested filter policy')
  })
})
