import { expect, test } from 'vitest'

import { neverReached } from '../../src/config/never-reached.ts'

const draft = (prefix: string) => {
  const place = { file: 'proxy.ini', line: 1, column: 1 }
  const matcher = { kind: 'prefix', prefix } as const
  return { matcher, pattern: prefix, to: 'x', origin: place, targetPlace: place, text: `${prefix} = x` }
}

test('warns of a key that begins as no target does', () => {
  expect(neverReached([draft('api')])).toMatchObject([
    { severity: 'warning', message: 'never matches: no path starts with "api"', hint: 'Write "/api".' },
  ])
})

test.each(['/api', '*'])('does not warn of %s', (key) => {
  expect(neverReached([draft(key)])).toEqual([])
})
