import { once } from 'node:events'
import { connect } from 'node:net'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Served } from '../conformance.ts'
import { NO_CC, serveC } from './compile.ts'

/** One exchange over a socket of its own, byte for byte: what node:http would tidy up. */
function exchange(served: Served, request: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(served.gateway.port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.on('error', reject)
    socket.write(request)
  })
}

const get = (served: Served, target: string, method = 'GET'): Promise<string> =>
  exchange(served, `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)

const suite = NO_CC === undefined ? describe : describe.skip

suite(`the C interface${NO_CC === undefined ? '' : ` (${NO_CC})`}`, () => {
  let served: Served
  beforeAll(async () => void (served = await serveC('abi.c', { config: { environment: { STAGE: 'test' } } })))
  afterAll(async () => served?.[Symbol.asyncDispose]())
  const text = async (path: string): Promise<string> => (await served.ask(path)).body.toString()

  test('structs have the sizes and offsets that libraries were built with', async () => {
    expect(await text('/sizes')).toBe('32 64 56 | 0 8 16 24 | 0 8 16 24 32 40 48 56 | 0 8 16 24 32 40 48')
  })

  test('the method ends in NUL, headers are counted with duplicates, and an empty body is not NULL', async () => {
    const answer = await exchange(
      served,
      'OPTIONS /seen HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\n',
    )
    expect(answer).toContain('method OPTIONS (7), NUL 1, 4 headers, body there, 0 bytes')
  })

  test('pointers whose length is 0 are never followed, because libraries leave garbage in them', async () => {
    const { status, body } = await served.ask('/garbage')
    expect([status, body.length]).toEqual([200, 0])
  })

  test('NULL is 500 and a report, and the process lives on', async () => {
    const pid = await text('/pid')
    served.faults.length = 0
    const { status, body, headers } = await served.ask('/null')
    expect([status, body.toString(), headers['content-type']]).toEqual([
      500,
      'Internal Server Error\n',
      undefined,
    ])
    expect(served.faults).toMatchObject([{ kind: 'throw', name: 'NULL' }])
    expect(await text('/pid')).toBe(pid)
  })

  test('zigInit comes before every request on its own thread, and request_deinit once after each', async () => {
    const [, handledBefore = 0, freedBefore = 0] = (await text('/counts')).split(' ').map(Number)
    const answers = await Promise.all(Array.from({ length: 1000 }, () => served.ask('/version')))
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    const [initialised, handled = 0, freed = 0] = (await text('/counts')).split(' ').map(Number)
    expect(initialised).toBe(handled)
    expect(handled - handledBefore).toBe(1001)
    expect(freed - freedBefore).toBe(1001)
  })

  test('request_deinit runs after the response has been written, because the library’s memory may be on its way until then', async () => {
    const [, , before = 0] = (await text('/counts')).split(' ').map(Number)
    const from = performance.now()
    expect(await text('/slow-deinit?n=600')).toBe('answered')
    expect(performance.now() - from).toBeLessThan(400)
    const freed = async (): Promise<number> => Number((await text('/counts')).split(' ')[2])
    // Its own, and those of the requests that look.
    await expect.poll(freed, { timeout: 2000 }).toBeGreaterThan(before + 1)
  })

  test('request_deinit is not called for a NULL response', async () => {
    const [, handledBefore = 0, freedBefore = 0] = (await text('/counts')).split(' ').map(Number)
    await served.ask('/null')
    const [, handled = 0, freed = 0] = (await text('/counts')).split(' ').map(Number)
    expect([handled - handledBefore, freed - freedBefore]).toEqual([2, 1])
  })

  test('the environment and the folder are the function’s own', async () => {
    expect(await text('/environment')).toBe('test')
    expect(await text('/cwd')).toBe(served.directory)
  })

  test('what the library prints is handed on at once, by stream', async () => {
    served.lines.length = 0
    await served.ask('/print?n=7')
    await expect
      .poll(() => served.lines.map(({ stream, text: line }) => `${stream} ${line}`).toSorted())
      .toEqual(['stderr complained', 'stdout printed 7'])
  })

  describe('responses', () => {
    test('status 0 is 200, and one that HTTP does not know has an empty phrase', async () => {
      expect(await get(served, '/status?n=0')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
      expect(await get(served, '/status?n=418')).toMatch(/^HTTP\/1\.1 418 I'm a teapot\r\n/)
      expect(await get(served, '/status?n=599')).toMatch(/^HTTP\/1\.1 599 \r\n/)
    })

    test('a reason is sent as it is with a status, and ignored without', async () => {
      expect(await get(served, '/reason?n=418')).toMatch(/^HTTP\/1\.1 418 Because\r\n/)
      expect(await get(served, '/reason?n=0')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    })

    test.each([100, 99, 199, 1000, 1023, 1024])('status %i is 500 and a report', async (code) => {
      served.faults.length = 0
      expect((await served.ask(`/status?n=${code}`)).status).toBe(500)
      expect(served.faults).toMatchObject([{ kind: 'result' }])
      expect(served.faults[0]?.message).toContain(`status ${code}`)
    })

    test('a status beyond 32 bits is not cut down to a good one', async () => {
      expect((await served.ask('/status?n=4294967496')).status).toBe(500)
    })

    test.each(['newline', 'name-newline', 'colon', 'empty', 'nul', 'reason', 'length', 'count'])(
      'a response with a bad %s is 500 and a report, and nothing of it is sent',
      async (what) => {
        served.faults.length = 0
        const answer = await get(served, `/bad/${what}`)
        expect(answer).toMatch(/^HTTP\/1\.1 500 /)
        expect(answer).not.toContain('stolen')
        expect(answer.endsWith('\r\n\r\nInternal Server Error\n')).toBe(true)
        expect(served.faults).toMatchObject([{ kind: 'result', name: 'BadResponse' }])
      },
    )

    test('40 headers are sent, and so are 900', async () => {
      for (const count of [40, 900]) {
        const answer = await get(served, `/many?n=${count}`)
        expect(answer).toMatch(/^HTTP\/1\.1 200 /)
        expect(answer.match(/x-many: value\r\n/g)).toHaveLength(count)
      }
    })

    test('content-type is added exactly when the library set none, in any case and place', async () => {
      const types = async (target: string): Promise<string[]> =>
        [...(await get(served, target)).matchAll(/^content-type: (.*)$/gim)].map((match) => match[1] ?? '')
      expect(await types('/type/none')).toEqual(['text/plain'])
      expect(await types('/type/first')).toEqual(['text/html'])
      expect(await types('/type/last')).toEqual(['text/html'])
    })

    test('headers keep their order and case, after content-length and before an added content-type', async () => {
      const names = (await get(served, '/type/none'))
        .split('\r\n')
        .slice(1)
        .map((line) => line.split(':')[0])
      expect(names.slice(0, 3)).toEqual(['content-length', 'x-a', 'content-type'])
      expect(await get(served, '/type/first')).toContain('CONTENT-TYPE: text/html')
    })

    test('framing that the library states is dropped, because the body’s own length counts', async () => {
      const answer = await get(served, '/framing')
      expect(answer).toContain('content-length: 4\r\n')
      expect(answer).not.toMatch(/999|chunked/)
      expect(answer.endsWith('X-Kept: 1\r\ncontent-type: text/plain\r\n')).toBe(false)
      expect(answer.endsWith('\r\n\r\nbody')).toBe(true)
    })

    test('GET has the body, the status, the headers and the exact content-length', async () => {
      expect(await get(served, '/many?n=2')).toMatch(
        /^HTTP\/1\.1 200 OK\r\ncontent-length: 4\r\nx-many: value\r\nx-many: value\r\ncontent-type: text\/plain\r\n(?:[^\r]+\r\n)*\r\nmany$/,
      )
    })

    test('HEAD has the length and not the body; an empty body may state another length', async () => {
      expect(await get(served, '/version', 'HEAD')).toMatch(/content-length: 1\r\n[^]*\r\n\r\n$/)
      expect(await get(served, '/head-length', 'HEAD')).toMatch(/content-length: 999\r\n[^]*\r\n\r\n$/)
    })

    test('204 has no content-length, as HTTP asks', async () => {
      expect(await get(served, '/status?n=204')).not.toMatch(/content-length/i)
    })

    test('bytes beyond ASCII in a header come through unchanged', async () => {
      expect(await get(served, '/latin1')).toContain('x-bytes: \xe4\xf6\r\n')
    })
  })

  describe('request bodies', () => {
    const tenMegabytes = Buffer.from(Uint8Array.from({ length: 10_000_000 }, (_, index) => (index * 7) & 255))

    test('10 MB in chunks with NULs arrive byte for byte', async () => {
      const { body } = await served.ask('/', {
        method: 'POST',
        headers: { 'transfer-encoding': 'chunked' },
        body: tenMegabytes,
      })
      expect(body.equals(tenMegabytes)).toBe(true)
    })

    test('10 MB with a length and NULs arrive byte for byte', async () => {
      const headers = { 'content-length': String(tenMegabytes.length) }
      const { body } = await served.ask('/', { method: 'POST', headers, body: tenMegabytes })
      expect(body.equals(tenMegabytes)).toBe(true)
    })

    test('Expect: 100-continue gets its 100 before the body is sent', async () => {
      const socket = connect(served.gateway.port, '127.0.0.1').setEncoding('latin1')
      let answer = ''
      socket.on('data', (chunk: string) => (answer += chunk))
      socket.write(
        'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n',
      )
      await expect.poll(() => answer).toBe('HTTP/1.1 100 Continue\r\n\r\n')
      socket.write('abc')
      await once(socket, 'end')
      expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nabc$/)
    })

    test('a length beyond any sense is told as it is', async () => {
      served.faults.length = 0
      await served.ask('/bad/length')
      expect(served.faults[0]?.message).toContain('len of the response is 18446744073709551615, more than')
    })

    test('more than the limit is refused before it is read', async () => {
      const answer = await exchange(
        served,
        'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\nConnection: close\r\n\r\n',
      )
      expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    })

    test('large and small bodies at once do not mix', async () => {
      const bodies = Array.from({ length: 40 }, (_, index) =>
        Buffer.alloc(index % 4 === 0 ? 700_000 : index, index),
      )
      const answers = await Promise.all(bodies.map((body) => served.ask('/', { method: 'POST', body })))
      expect(answers.every(({ body }, index) => bodies[index]?.equals(body))).toBe(true)
    })
  })
})

suite('requests that HTTP does not know', () => {
  test.each([
    ['an unknown method', 'FOO / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a line that is no request', 'hello\r\n\r\n'],
    ['17 KiB of headers', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(17 * 1024)}\r\n\r\n`],
    [
      'an unknown Expect',
      'POST / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 1\r\nConnection: close\r\n\r\na',
    ],
  ])('%s is refused, and the library is not asked', async (_what, request) => {
    await using served = await serveC('abi.c')
    expect(await exchange(served, request)).toMatch(/^HTTP\/1\.1 (4\d\d|501) /)
    expect((await served.ask('/counts')).body.toString()).toBe('1 1 0')
  })
})

suite('threads', () => {
  test.each([1, 2, 5])('%i slow requests are answered together, and one more waits', async (threads) => {
    await using served = await serveC('abi.c', { config: { options: { library: 'libfixture.so', threads } } })
    const sleepers = (count: number) =>
      Promise.all(Array.from({ length: count }, () => served.ask('/sleep?n=300')))
    // The other threads start when they are first needed.
    await sleepers(threads)
    const from = performance.now()
    await sleepers(threads)
    const together = performance.now() - from
    expect(together).toBeGreaterThan(295)
    expect(together).toBeLessThan(550)
    await sleepers(threads + 1)
    expect(performance.now() - from - together).toBeGreaterThan(590)
  })

  test('a fast request is not held up by slow ones while a thread is free', async () => {
    await using served = await serveC('abi.c', {
      config: { options: { library: 'libfixture.so', threads: 2 } },
    })
    for (let turn = 0; turn < 200; turn += 1) await served.ask('/version')
    const slow = served.ask('/sleep?n=600')
    const from = performance.now()
    for (let turn = 0; turn < 20; turn += 1) await served.ask('/version')
    expect(performance.now() - from).toBeLessThan(400)
    await slow
  })
})

suite('a library without the optional functions', () => {
  test('is served', async () => {
    await using served = await serveC('abi.c', { flags: ['-DNO_ZIG', '-DNO_DEINIT'] })
    expect((await served.ask('/counts')).body.toString()).toBe('0 1 0')
  })
})

suite('FlexiLib’s sample library', () => {
  let served: Served
  beforeAll(async () => void (served = await serveC('sample.c')))
  afterAll(async () => served?.[Symbol.asyncDispose]())

  const rows: [fields: string[], status: number, body: string, custom: boolean][] = [
    [['Accept', '*/*'], 200, ' 1', true],
    [['Host', 'iam.aws.lerch.org', 'Accept', '*/*'], 200, 'iam response', false],
    [['x-slow', '200'], 200, 'i am slow\n\n', false],
    [['x-log-this', 'I am a teapot'], 200, 'I am a teapot 1', true],
    [['x-log-this', 'I am a teapot', 'x-throw', '1'], 500, 'I am a teapot', false],
    [['x-log-this', 'I am a teapot', 'x-throw', '1', 'x-status', '418'], 418, 'I am a teapot', false],
    [['x-status', '418'], 418, ' 1', true],
  ]
  test.each(rows)('%j → %i "%s"', async (fields, status, body, custom) => {
    const head = Array.from(
      { length: fields.length / 2 },
      (_, index) => `${fields[index * 2]}: ${fields[index * 2 + 1]}\r\n`,
    )
    // HTTP/1.0, so that neither Host nor Connection has to be there and be counted.
    const answer = await exchange(served, `GET / HTTP/1.0\r\n${head.join('')}\r\n`)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer.endsWith(`\r\n\r\n${body}`)).toBe(true)
    expect(/^X-custom-foo: bar\r$/m.test(answer)).toBe(custom)
    expect(answer).toContain('content-type: text/plain\r\n')
  })
})

suite('any request', () => {
  let served: Served
  beforeAll(async () => void (served = await serveC('conformance.c')))
  afterAll(async () => served?.[Symbol.asyncDispose]())

  const characters = (from: string): fc.Arbitrary<string> =>
    fc.string({ unit: fc.constantFrom(...from.split('')), minLength: 1, maxLength: 40 })
  const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).join('')
  const beyond = Array.from({ length: 96 }, (_, index) => String.fromCharCode(160 + index)).join('')
  const field = fc.tuple(
    characters('abcXYZ019-_.!~').map((name) => `x-${name}`),
    characters(visible + beyond),
  )

  test('arrives byte for byte: target, fields in order with case and duplicates, content', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PATCH', 'PROPFIND'),
        // A NUL in a path is refused before any function sees it.
        characters("abc/%20?=&;:@!$'()*+,~.").filter((path) => !path.includes('%00')),
        fc.array(field, { maxLength: 40 }),
        fc.uint8Array({ maxLength: 5000 }),
        async (method, path, fields, content) => {
          const own = [
            ['Host', 'x'],
            ...fields,
            ['Content-Length', String(content.length)],
            ['Connection', 'close'],
          ]
          const lines = own.map(([name, value]) => `${name}: ${value}`)
          const target = `/echo${path}`
          const head = `${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
          const answer = await exchange(served, Buffer.concat([Buffer.from(head, 'latin1'), content]))
          const body = answer.slice(answer.indexOf('\r\n\r\n') + 4)
          expect(body).toBe(
            `${method} ${target}\n${lines.join('\n')}\n\n${Buffer.from(content).toString('latin1')}`,
          )
        },
      ),
      { numRuns: 50 },
    )
  })
})
