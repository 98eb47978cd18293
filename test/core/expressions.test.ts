import { expect, test } from 'vitest'

import { bounded, wildcard } from '../../src/core/expressions.ts'

test.each([
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['*', 'anything\nat all', true],
  ['a*', 'abc', true],
  ['*c', 'abc', true],
  ['*b', 'abc', false],
  ['a*c*e', 'abcde', true],
  ['a**e', 'abcde', true],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['a.c', 'abc', false],
  ['*ab*ab', 'abab', true],
  ['*ab*ab', 'aab', false],
  ['a*', 'A', false],
])('%j for %j is %s', (pattern, text, isMatch) => {
  expect(wildcard(pattern).test(text)).toBe(isMatch)
})

test('compares in any case, or takes "?" for itself, where it is told to', () => {
  expect(wildcard('HTTP*', { ignoreCase: true }).test('http://a')).toBe(true)
  expect(wildcard('a?c', { single: false }).test('abc')).toBe(false)
  expect(wildcard('a?c', { single: false }).test('a?c')).toBe(true)
})

test('takes a moment for what would take years', () => {
  const began = performance.now()
  expect(wildcard(`${'a*'.repeat(50)}b`).test('a'.repeat(5000))).toBe(false)
  const expression = bounded(/^(?:a+)+$/)
  expect(expression.test('aaaa')).toBe(true)
  expect(expression.test(`${'a'.repeat(40)}b`)).toBe(false)
  expect(performance.now() - began).toBeLessThan(2000)
  // It is not tried again.
  expect(expression.test('aaaa')).toBe(false)
})
