import fc from 'fast-check'
import picocolors from 'picocolors'
import { describe, expect, test } from 'vitest'

import { configError, FlexiError } from '../../src/core/errors.ts'
import type { FunctionFault } from '../../src/core/function.ts'
import { formatFault, type Fault } from '../../src/core/place.ts'
import { accessLine } from '../../src/terminal/access-line.ts'
import { bannerLines, reachableUrls } from '../../src/terminal/banner.ts'
import { eventLines, isShown } from '../../src/terminal/dev-lines.ts'
import { byteSize, duration } from '../../src/terminal/duration.ts'
import { bugLines, reportLines, reportOf } from '../../src/terminal/error-report.ts'
import { faultLines, functionFaultLines } from '../../src/terminal/faults.ts'
import { NO_PAINT, paintFor } from '../../src/terminal/paint.ts'
import { printable, printableOutput } from '../../src/terminal/printable.ts'
import { accessRecord } from './collect.ts'

const PLAIN = { paint: NO_PAINT, directory: '/home/ada/api' }
const COLOURED = { paint: picocolors.createColors(true), directory: '/home/ada/api' }
const NOON = new Date(2026, 0, 2, 12, 3, 9)
const ESC = '\u001b'
const OWN_COLOUR = new RegExp(`${ESC}\\[[0-9;:]*m`, 'g')

function controls(text: string): number[] {
  const codes = text.split('').map((character) => character.charCodeAt(0))
  return codes.filter((code) => code < 32 || (code > 126 && code < 160))
}

const FAULT: Fault = {
  place: { file: '/home/ada/api/proxy.ini', line: 12, column: 3 },
  message: 'no value for this key',
  text: '\t [section]',
  hint: 'Write "key = value".',
}

describe('colours', () => {
  test.for([
    [{ isTTY: true }, {}, true],
    [{ isTTY: false }, {}, false],
    [{}, {}, false],
    [{ isTTY: true }, { NO_COLOR: '1' }, false],
    [{ isTTY: true }, { NO_COLOR: '' }, true],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
    [{ isTTY: false }, { FORCE_COLOR: '1' }, true],
    [{ isTTY: true }, { FORCE_COLOR: '0' }, false],
    [{ isTTY: true }, { FORCE_COLOR: '1', NO_COLOR: '1' }, false],
  ] as const)('%j with %j: %s', ([stream, environment, expected]) => {
    expect(paintFor(stream, environment).isColorSupported).toBe(expected)
  })
})

describe('text from outside', () => {
  test('cannot move the cursor, retitle the window or reverse the line', () => {
    expect(printable(`/a${ESC}[2J\u0007\u009b31m\u202eb\n`)).toBe('/a\\x1b[2J\\x07\\x9b31m\\u202eb\\x0a')
  })

  test('holds no character that a terminal obeys, whatever was sent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(controls(printable(text))).toEqual([])
        expect(
          controls(printableOutput(text, true).replaceAll(OWN_COLOUR, '')).filter((code) => code !== 9),
        ).toEqual([])
      }),
    )
  })

  test("of a function keeps the function's colours and ends them, where colours are shown", () => {
    expect(printableOutput(`${ESC}[32mok${ESC}[K`, true)).toBe(`${ESC}[32mok\\x1b[K${ESC}[0m`)
    expect(printableOutput(`a\t${ESC}[32mok`, false)).toBe('a\tok')
  })
})

describe('the line of a request', () => {
  test('tells when, what, how it ended, how long it took and who answered', () => {
    expect(accessLine(accessRecord(), NOON, NO_PAINT)).toBe('12:03:09 GET /hello?x=1 → 200 3.1 ms hello')
    const call = accessRecord({ notes: { operation: 'SendMessage' }, target: '/_flexi/aws' })
    expect(accessLine(call, NOON, NO_PAINT)).toContain(' SendMessage')
  })

  test('names the route when no function answered, and says when the exchange was cut', () => {
    const line = accessLine(
      accessRecord({ notes: {}, route: '/api/', aborted: true, status: 502 }),
      NOON,
      NO_PAINT,
    )
    expect(line).toBe('12:03:09 GET /hello?x=1 → 502 3.1 ms /api/ cut off')
  })

  test('shows an escape sequence in the target as text', () => {
    const line = accessLine(accessRecord({ target: `/${ESC}]0;owned\u0007` }), NOON, COLOURED.paint)
    expect(line).toContain('/\\x1b]0;owned\\x07')
  })

  test('colours the status by its class', () => {
    for (const [status, code] of [
      [200, 32],
      [301, 36],
      [404, 33],
      [500, 31],
    ] as const)
      expect(accessLine(accessRecord({ status }), NOON, COLOURED.paint)).toContain(`${ESC}[${code}m${status}`)
  })
})

describe('durations and sizes have three digits at most', () => {
  test.for([
    [0.04, '0.0 ms'],
    [3.14, '3.1 ms'],
    [9.96, '10 ms'],
    [142.4, '142 ms'],
    [999.6, '1.0 s'],
    [61_000, '61.0 s'],
  ] as const)('%d ms is %s', ([ms, text]) => {
    expect(duration(ms)).toBe(text)
  })
  test.for([
    [0, '0 B'],
    [999, '999 B'],
    [1400, '1.4 kB'],
    [999_960, '1.0 MB'],
    [3_200_000, '3.2 MB'],
  ] as const)('%d bytes are %s', ([bytes, text]) => {
    expect(byteSize(bytes)).toBe(text)
  })
})

describe('the banner', () => {
  const options = {
    paint: NO_PAINT,
    version: '0.1.0',
    url: 'http://127.0.0.1:8069',
    functions: [
      { name: 'hello', provider: 'lambda', url: 'http://127.0.0.1:8069/_flexi/f/hello/' },
      { name: 'Edge', provider: 'workers', url: 'http://127.0.0.1:8069/_flexi/f/Edge/' },
    ],
    routes: [
      { pattern: 'Host: iam /', target: 'Edge' },
      { pattern: '/', target: 'hello' },
    ],
    durationMs: 142,
    networkAddresses: ['192.0.2.7'],
    keys: true,
  }

  test('shows the time to ready, the address, every function and every route', () => {
    expect(bannerLines(options).join('\n')).toBe(`
  flexi v0.1.0  ready in 142 ms

  ➜  http://127.0.0.1:8069/

  FUNCTION   PROVIDER   ITS OWN ADDRESS
  hello      lambda     http://hello.localhost:8069/
  Edge       workers    http://edge.localhost:8069/

  ROUTE         TARGET
  Host: iam /   Edge
  /             hello

  press h for the keys
`)
  })

  test('shows the addresses a browser can open when the server listens on all networks', () => {
    expect(reachableUrls('http://0.0.0.0:80', ['192.0.2.7'])).toEqual([
      'http://localhost/',
      'http://192.0.2.7/',
    ])
    expect(reachableUrls('http://[::]:8069', ['192.0.2.7'])).toEqual([
      'http://localhost:8069/',
      'http://192.0.2.7:8069/',
    ])
    expect(reachableUrls('http://192.0.2.9:8069', ['192.0.2.7'])).toEqual(['http://192.0.2.9:8069/'])
  })

  test('keeps the path form of a function where no name can stand below the host', () => {
    const url = 'http://192.0.2.9:8069/_flexi/f/hello/'
    const lines = bannerLines({ ...options, functions: [{ name: 'hello', provider: 'lambda', url }] })
    expect(lines.join('\n')).toContain(url)
  })

  test('says where functions come from when there are none yet', () => {
    const api = 'http://127.0.0.1:8069/_flexi/aws'
    const lines = bannerLines({ ...options, functions: [], routes: [], api }).join('\n')
    expect(lines).toContain(`export AWS_ENDPOINT_URL=${api}`)
    expect(lines).not.toContain('nothing to serve')
  })

  test('says so when there is nothing to serve', () => {
    expect(bannerLines({ ...options, functions: [], routes: [] }).join('\n')).toContain('nothing to serve')
  })
})

describe('faults', () => {
  test('look without colours as core formats them, with the path made short', () => {
    const lines = faultLines(FAULT, PLAIN)
    expect(lines.join('\n')).toBe(formatFault({ ...FAULT, place: { ...FAULT.place, file: 'proxy.ini' } }))
  })

  test('of files elsewhere keep their path', () => {
    expect(faultLines({ ...FAULT, place: { ...FAULT.place, file: '/etc/x.ini' } }, PLAIN)[0]).toContain(
      '/etc/x.ini:12:3',
    )
  })

  const thrown: FunctionFault = {
    function: 'hello',
    kind: 'throw',
    name: 'TypeError',
    message: "Cannot read properties of undefined (reading 'b')",
    frame: {
      place: { file: '/home/ada/api/src/hello.ts', line: 7, column: 19 },
      message: '',
      text: '  const y = event.a.b',
    },
    stack: `TypeError: Cannot read properties of undefined (reading 'b')
    at handler (file:///home/ada/api/src/hello.ts:7:19)
    at run (/home/ada/api/node_modules/x/y.js:1:1)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`,
    hint: 'Guard it.',
  }

  test('of functions show the frame in the own file, the stack and the hint', () => {
    expect(functionFaultLines(thrown, PLAIN).join('\n'))
      .toBe(`✖ hello threw  TypeError: Cannot read properties of undefined (reading 'b')
  src/hello.ts:7:19
    7 |   const y = event.a.b
      |                   ^
    at handler (src/hello.ts:7:19)
    at run (node_modules/x/y.js:1:1)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
  Guard it.`)
  })

  test('of functions dim the frames of packages and of Node', () => {
    const dimmed = functionFaultLines(thrown, COLOURED).filter((line) => line.startsWith(`${ESC}[2m    at `))
    expect(dimmed).toHaveLength(2)
  })

  test('without frame and stack are one line', () => {
    const crash: FunctionFault = {
      function: 'fib',
      kind: 'crash',
      name: 'SIGSEGV',
      message: 'segmentation fault',
    }
    expect(functionFaultLines(crash, PLAIN)).toEqual(['✖ fib crashed  SIGSEGV: segmentation fault'])
  })
})

describe('errors', () => {
  test('of the configuration show every fault once', () => {
    const lines = reportLines(reportOf(configError([FAULT, FAULT])), PLAIN)
    expect(lines[0]).toBe('✖ 2 faults in the configuration FLEXI_CONFIG')
    expect(lines.filter((line) => line.includes('proxy.ini:12:3'))).toHaveLength(2)
  })

  test('of the configuration show every fault once when they come as an event, too', () => {
    const { code, message, faults } = configError([FAULT, FAULT])
    const lines = eventLines({ event: 'error', code, message, faults }, PLAIN)
    expect(lines[0]).toBe('✖ 2 faults in the configuration FLEXI_CONFIG')
    expect(lines.filter((line) => line.includes('no value for this key'))).toHaveLength(2)
  })

  test('that end with their only fault show it once', () => {
    const message = 'the build failed: proxy.ini:12:3: no value for this key'
    const fault = { ...FAULT, place: { ...FAULT.place, file: 'proxy.ini' } }
    expect(reportLines({ code: 'FLEXI_BUILD', message, faults: [fault] }, PLAIN)[0]).toBe(
      '✖ the build failed FLEXI_BUILD',
    )
  })

  test('a person can mend have a hint and no stack', () => {
    const error = new FlexiError('FLEXI_PORT_TAKEN', 'port 80 is taken', { hint: 'Choose another.' })
    expect(reportLines(reportOf(error), PLAIN)).toEqual([
      '✖ port 80 is taken FLEXI_PORT_TAKEN',
      '  → Choose another.',
    ])
  })

  test('of ours have a stack, the cause, and ask for a report', () => {
    const error = new TypeError('x is not a function', { cause: new RangeError('out of range') })
    const text = bugLines(error, PLAIN, { version: '0.1.0', reportTo: 'https://bugs.example' }).join('\n')
    expect(text).toContain('TypeError: x is not a function\n      at ')
    expect(text).toContain('Caused by: RangeError: out of range')
    expect(text).toContain('Please report it with these lines at https://bugs.example.')
    expect(text).toContain('flexi 0.1.0')
  })
})

describe('events', () => {
  test('a reload tells the files and the time', () => {
    const files = ['/home/ada/api/src/hello.ts', '/home/ada/api/src/a.ts', '/x/b.ts', '/x/c.ts', '/x/d.ts']
    const event = { event: 'reload', function: 'hello', revision: 'r', files, durationMs: 14 } as const
    expect(eventLines({ ...event, files: files.slice(0, 1) }, PLAIN)).toEqual([
      '↻ hello  src/hello.ts  14 ms',
    ])
    expect(eventLines(event, PLAIN)).toEqual(['↻ hello  src/hello.ts, src/a.ts, /x/b.ts, and 2 more  14 ms'])
    expect(eventLines({ ...event, files: [] }, PLAIN)).toEqual(['↻ hello  14 ms'])
  })

  test('output carries the name of its function', () => {
    const line = {
      event: 'log',
      function: 'hello',
      stream: 'stdout',
      level: 'info',
      text: 'ready\u0007',
    } as const
    expect(eventLines(line, PLAIN)).toEqual(['hello │ ready\\x07'])
  })

  test('output of several lines is several lines: a stack is read, and none of them passes for one of ours', () => {
    const line = {
      event: 'log',
      function: 'hello',
      stream: 'stderr',
      level: 'error',
      text: 'Error: no\n    at handler\r\n\n✖ odd',
    } as const
    expect(eventLines(line, PLAIN)).toEqual([
      'hello │ Error: no',
      'hello │     at handler',
      'hello │ ',
      'hello │ ✖ odd',
    ])
  })

  test.for([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['error', ['error']],
    ['silent', []],
  ] as const)('with --log-level %s, output of the levels %j is shown', ([level, shown]) => {
    const levels = (['debug', 'info', 'warn', 'error'] as const).filter((one) =>
      isShown({ event: 'log', function: 'f', stream: 'stdout', level: one, text: '' }, level),
    )
    expect(levels).toEqual(shown)
  })
})
