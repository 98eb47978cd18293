import fc from 'fast-check'
import { expect, test } from 'vitest'

import { closest } from '../../src/core/suggest.ts'

const WORDS = ['lambda', 'workers', 'native', 'dev', 'new', 'check']

test.each([
  ['lamda', 'lambda'],
  ['wrokers', 'workers'],
  ['Natvie', 'native'],
  ['chekc', 'check'],
  ['DEV', 'dev'],
  ['nwe', 'new'],
  ['lambdas', 'lambda'],
])('%s is %s', (word, meant) => {
  expect(closest(word, WORDS)).toBe(meant)
})

test.each(['', 'x', 'cloudflare', 'lbmwerc', 'dxx'])('%j is none of them', (word) => {
  expect(closest(word, WORDS)).toBeUndefined()
})

test('takes the nearest, and of equals the first', () => {
  expect(closest('helloo', ['hallo', 'hello'])).toBe('hello')
  expect(closest('fob', ['fib', 'fab'])).toBe('fib')
})

test('one slip in a word of six letters or more is always found', () => {
  const word = fc.stringMatching(/^[a-z]{6,20}$/)
  fc.assert(
    fc.property(word, fc.nat(), fc.constantFrom('swap', 'drop', 'double'), (wanted, position, slip) => {
      const at = position % (wanted.length - 1)
      const [head, letter, next, tail] = [
        wanted.slice(0, at),
        wanted.charAt(at),
        wanted.charAt(at + 1),
        wanted.slice(at + 2),
      ]
      const slips = { swap: next + letter, drop: next, double: letter + letter + next }
      expect(closest(head + slips[slip] + tail, [wanted])).toBe(wanted)
    }),
  )
})

test('a very long word costs nothing, because no candidate is near', () => {
  expect(closest('x'.repeat(1_000_000), WORDS)).toBeUndefined()
})
