import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { weightFlag } from '../../src/commands/alias.ts'
import { parseReference } from '../../src/commands/client-options.ts'
import { groupFor, parseGroup } from '../../src/commands/group-options.ts'
import { durationFlag, parseDuration, sinceFlag } from '../../src/commands/time-options.ts'
import { namesOf } from '../../src/commands/variable-options.ts'
import { COMMANDS } from '../../src/commands/index.ts'
import { FlexiError } from '../../src/core/errors.ts'

describe('a duration', () => {
  test.each([
    ['90s', 90_000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
    ['1w', 604_800_000],
    ['250ms', 250],
    ['0.5h', 1_800_000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['', '10', 'm', '10 m', '-5m', '10y', '1h 30m', 'Infinitys'])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined()
    expect(() => durationFlag('idle', text)).toThrow(FlexiError)
  })

  test('is the sum of its parts', () => {
    const count = fc.integer({ min: 0, max: 10_000 })
    fc.assert(
      fc.property(count, count, count, (hours, minutes, seconds) => {
        const ms = hours * 3_600_000 + minutes * 60_000 + seconds * 1000
        expect(parseDuration(`${hours}h${minutes}m${seconds}s`)).toBe(ms)
      }),
    )
  })
})

describe('--since', () => {
  const now = Date.UTC(2026, 10, 21, 12)

  test('is so long ago, or a time', () => {
    expect(sinceFlag('2h', now)).toBe(now - 7_200_000)
    expect(sinceFlag('2026-11-21T10:00:00Z', now)).toBe(now - 7_200_000)
    expect(sinceFlag('2026-11-21 10:00:00Z', now)).toBe(now - 7_200_000)
    expect(sinceFlag('5000w', now)).toBe(0)
  })

  test('a date alone is midnight where its user is', () => {
    expect(sinceFlag('2026-11-21', now)).toBe(new Date(2026, 10, 21).getTime())
  })

  test.each(['yesterday', '2026', '21.11.2026', '2026-13-01', '2026-11-21T25:00', ''])(
    '%j is refused',
    (text) => {
      expect(() => sinceFlag(text, now)).toThrow('is no time')
    },
  )

  test('whatever is written, it is a time or a FlexiError', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(Number.isFinite(sinceFlag(text, now))).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(FlexiError)
        }
      }),
    )
  })
})

describe('--weight', () => {
  test.each([
    ['5%', 0.05],
    ['5 %', 0.05],
    ['0.05', 0.05],
    ['.5', 0.5],
    ['100%', 1],
    ['0%', 0],
  ])('%s is %d', (text, weight) => {
    expect(weightFlag(text)).toBeCloseTo(weight)
  })

  // 5 could be 5 % or five times all requests; 1 could be 1 % or all.
  test.each(['5', '1', '101%', '-5%', 'half', '', '%'])('%j is refused, rather than guessed', (text) => {
    expect(() => weightFlag(text)).toThrow('is no share')
  })
})

describe('a group', () => {
  test('is written in full, or as the permission alone', () => {
    expect(parseGroup('write')).toBe('permission:write')
    expect(parseGroup('permission:admin')).toBe('permission:admin')
    expect(parseGroup('singular:ada')).toBe('singular:ada')
    expect(parseGroup('custom:shop-team')).toBe('custom:shop-team')
  })

  test('that is misspelt names the one that was meant', () => {
    expect(hintOf(() => parseGroup('wirte'))).toBe('Did you mean "write"?')
    expect(hintOf(() => parseGroup('team:shop'))).toContain('custom:NAME')
    expect(hintOf(() => parseGroup('custom:'))).toContain('custom:NAME')
  })

  test('is named, or none is', () => {
    expect(groupFor('custom:a', false)).toBe('custom:a')
    expect(groupFor(undefined, true)).toBeNull()
    expect(() => groupFor(undefined, false)).toThrow(FlexiError)
    expect(() => groupFor('custom:a', true)).toThrow(FlexiError)
  })
})

describe('a reference', () => {
  test('is a name, and perhaps a version', () => {
    expect(parseReference('hello')).toEqual({ name: 'hello', version: undefined })
    expect(parseReference('hello@v3')).toEqual({ name: 'hello', version: 'v3' })
  })

  test.each(['', '@v3', 'hello@', 'a@b@c'])('%j is none', (text) => {
    expect(() => parseReference(text)).toThrow('names no function')
  })
})

test('what may be the value of a variable is not shown when its name is wrong', () => {
  expect(namesOf(['A', '_b9'])).toEqual(['A', '_b9'])
  expect(() => namesOf(['A-B=s3cret'])).toThrow('"A-B=…" is no name of a variable')
})

function hintOf(task: () => unknown): string | undefined {
  try {
    task()
  } catch (error) {
    if (error instanceof FlexiError) return error.hint
  }
  return undefined
}

const WORDS =
  /^(deploy|deployments|login|logout|whoami|rollback|versions|logs|audit|(alias|env|functions|secrets|tokens|users):.*)$/

test('docs/deploy.md tells of every command about a daemon, and of every flag', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/deploy.md'), 'utf8')
  const commands = Object.entries(COMMANDS).filter(([id]) => WORDS.test(id))
  expect(commands.length).toBeGreaterThan(30)
  for (const [id, { flags }] of commands) {
    expect(page).toContain(`flexi ${id.replaceAll(':', ' ')}`)
    const shown = Object.entries(flags as Readonly<Record<string, { readonly hidden?: boolean }>>)
    const names = shown.filter(([, { hidden }]) => hidden !== true).map(([name]) => `--${name}`)
    expect({ id, missing: names.filter((name) => !page.includes(name)) }).toEqual({ id, missing: [] })
  }
})
