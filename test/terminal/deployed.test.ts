import { describe, expect, test } from 'vitest'

import { age, dateTime } from '../../src/terminal/age.ts'
import { deployedLines, functionLines, stepLine, uploadLine } from '../../src/terminal/deploy-lines.ts'
import { aliasText, functionDetailLines } from '../../src/terminal/function-lines.ts'
import { NO_PAINT } from '../../src/terminal/paint.ts'
import { StatusLine } from '../../src/terminal/status-line.ts'

const paint = NO_PAINT

describe('the age of a time', () => {
  test.each([
    [0, 'now'],
    [999, 'now'],
    [1000, '1 s ago'],
    [119_000, '1 min ago'],
    [7_200_000, '2 h ago'],
    [86_400_000 * 40, '40 d ago'],
    [-86_400_000 * 10, 'in 10 d'],
  ])('%i ms ago is "%s"', (ms, text) => {
    expect(age(1e12 - ms, 1e12)).toBe(text)
  })

  test('a moment is shown in local time', () => {
    expect(dateTime(new Date(2026, 0, 2, 3, 4, 5).getTime())).toBe('2026-01-02 03:04:05')
  })
})

describe('a line that is rewritten', () => {
  const lines = (terminal: boolean) => {
    let written = ''
    let now = 0
    const stream = { write: (text: string) => (written += text) }
    const line = new StatusLine(stream, { terminal, clock: () => now })
    return { line, later: (ms: number) => (now += ms), written: () => written }
  }

  test('is drawn no more often than people can read, and gone before a line that stays', () => {
    const { line, later, written } = lines(true)
    line.status(() => '1 %')
    later(10)
    line.status(() => '2 %')
    later(100)
    line.status(() => '3 %')
    line.print('done')
    expect(written()).toBe('\r1 %\u001b[K\r3 %\u001b[K\r\u001b[Kdone\n')
  })

  test('is left out of what is no terminal', () => {
    const { line, written } = lines(false)
    line.status(() => '1 %')
    line.print('done')
    line.clear()
    expect(written()).toBe('done\n')
  })
})

describe('a deployment', () => {
  test('is shown step by step', () => {
    expect(stepLine({ paint, name: 'hello', step: 'uploaded', note: '3.1 MB in 12 ms' })).toBe(
      '  hello  uploaded  3.1 MB in 12 ms',
    )
    expect(stepLine({ paint, step: 'switched' })).toBe('  switched')
    expect(uploadLine('hello', { sentBytes: 500_000, bytes: 2_000_000 }, paint)).toBe(
      '  ↑ hello  500.0 kB of 2.0 MB  25 %',
    )
    expect(uploadLine('hello', { sentBytes: 0, bytes: 0 }, paint)).toContain('100 %')
  })

  test('what a function prints cannot steer the terminal', () => {
    expect(functionLines('hello', 'a\u001b]0;title\u0007b\r\nc\n', paint)).toEqual([
      '  hello │ a\\x1b]0;title\\x07b',
      '  hello │ c',
    ])
  })

  test('ends with what serves, and where', () => {
    const functions = [
      {
        name: 'hello',
        version: 'v3',
        urls: ['http://hello.localhost', 'http://v3.hello.localhost'],
        changed: true,
      },
      { name: 'a', version: 'v12', urls: ['http://a.localhost'], changed: false },
    ]
    const result = { project: 'shop', alias: 'live', daemon: 'http://localhost', durationMs: 1234, functions }
    const url = 'http://shop.localhost/'
    expect(deployedLines({ ...result, url, dryRun: false }, paint)).toEqual([
      '✔ shop is live at http://shop.localhost/  1.2 s',
      '  hello@v3  http://hello.localhost',
      '            http://v3.hello.localhost',
      '  a@v12     http://a.localhost  unchanged',
    ])
    expect(deployedLines({ ...result, dryRun: true, functions: [] }, paint)).toEqual([
      '✔ shop could be deployed to http://localhost  1.2 s',
    ])
    expect(deployedLines({ ...result, dryRun: false }, paint)[0]).toBe('✔ shop is live  1.2 s')
    expect(deployedLines({ ...result, url, alias: 'preview', dryRun: false }, paint)[0]).toBe(
      '✔ shop is deployed as preview at http://shop.localhost/  1.2 s',
    )
  })
})

describe('a function', () => {
  test('an alias says how requests are shared', () => {
    expect(aliasText({ version: 'v3' })).toBe('v3')
    expect(aliasText({ version: 'v3', second: { version: 'v4', weight: 0.05 } })).toBe('v3 95 %, v4 5 %')
    expect(aliasText({ version: 'v3', second: { version: 'v4', weight: 0.001 } })).toBe('v3 99.9 %, v4 0.1 %')
  })

  test('is shown on one screen', () => {
    const shown = {
      name: 'hello',
      provider: 'lambda',
      project: 'shop',
      group: 'singular:ada',
      url: 'http://hello.localhost',
      createdAt: 0,
      createdBy: 'ada',
      aliases: [{ alias: 'live', version: 'v2' }],
      schedules: [
        { expression: '0 7 * * *', timeZone: 'Europe/Berlin', next: Date.UTC(2026, 0, 2, 6) },
        { expression: 'at(2025-01-01T00:00:00)' },
      ],
      statuses: [
        {
          version: 'v2',
          state: 'crashed',
          instances: 0,
          inFlight: 0,
          since: 0,
          restarts: 3,
          lastExit: 'exit code 1',
          aliases: ['live'],
        },
      ],
    }
    expect(functionDetailLines(shown, { paint, now: 60_000 })).toEqual([
      'hello  http://hello.localhost',
      '  provider  lambda',
      '  project   shop',
      '  group     singular:ada',
      '  made      1 min ago by ada',
      '  aliases   live → v2',
      '  runs at   0 7 * * * Europe/Berlin, next 2026-01-02 06:00 UTC',
      '            at(2025-01-01T00:00:00), over',
      '',
      '  VERSION   STATE     SINCE       INSTANCES   REQUESTS   RESTARTS   ALIASES   LAST EXIT',
      '  v2        crashed   1 min ago   0           0          3          live      exit code 1',
    ])
  })
})
