import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { unexpected, unexpectedAnswers, type Differences } from './compare.ts'
import { openOrigin, type Origin } from './origin.ts'
import { describeWithOracle, type Pair, type Peer, startPair } from './peers.ts'
import { ask, type RawRequest } from './raw-http.ts'
import { converse } from './web-socket.ts'

let pair: Pair
let origin: Origin

const CASES: Readonly<Record<string, RawRequest>> = {
  'a plain request': { path: '/echo' },
  'a path with encoded signs': { path: '/echo/%2F/%zz/%C3%A9/a%20b?x=%2F&y=%zz' },
  'an encoded NUL in a path': { path: '/status/200/%00' },
  'a path of slashes': { path: '/echo//a///b/' },
  'a path that leads up': { path: '/echo/a/../b/./c' },
  'an encoded path that leads up': { path: '/echo/a/%2e%2e/b' },
  'a query without a value, twice': { path: '/echo?a&a=&a=1&&b=%20+' },
  'two question marks': { path: '/echo?a?b' },
  'signs that a URL should encode': { path: '/echo/"<>`{}|^\\?q="<>`{}|^\\' },
  'a long path': { path: `/echo/${'a'.repeat(6000)}` },
  'an absolute target': { path: 'http://absolute.test/echo?x' },
  'another host': { path: '/echo', fields: [['Host', 'shop.test']] },
  'another host with a port': { path: '/echo', fields: [['Host', 'shop.test:81']] },
  'fields twice': {
    path: '/echo',
    fields: [
      ['X-A', '1'],
      ['x-a', '2'],
      ['Accept', 'a'],
      ['accept', 'b'],
    ],
  },
  'many cookies': {
    path: '/echo',
    fields: [
      ['Cookie', 'a=1; b=2'],
      ['Cookie', 'c=3'],
    ],
  },
  'an empty field': { path: '/echo', fields: [['X-Empty', '']] },
  'fields of proxies': {
    path: '/echo',
    fields: [
      ['X-Forwarded-For', '1.2.3.4'],
      ['X-Forwarded-Proto', 'https'],
      ['Forwarded', 'for=1.2.3.4'],
      ['Via', '1.1 x'],
    ],
  },
  'fields that only the edge may set': {
    path: '/echo',
    fields: [
      ['CF-Connecting-IP', '6.6.6.6'],
      ['CF-Ray', 'x'],
      ['CF-IPCountry', 'XX'],
      ['CF-Visitor', '{}'],
      ['CF-Worker', 'evil.test'],
      ['X-Real-IP', '6.6.6.6'],
    ],
  },
  'fields that only the runtime may set': {
    path: '/echo',
    fields: [
      ['MF-Original-URL', 'http://evil.test/'],
      ['MF-Route-Override', 'x'],
    ],
  },
  'user agent, origin, referer, authorization': {
    path: '/echo',
    fields: [
      ['User-Agent', 'u'],
      ['Origin', 'http://o.test'],
      ['Referer', 'http://r.test/x'],
      ['Authorization', 'Basic eDp5'],
    ],
  },
  'accept-encoding of its own': { path: '/echo', fields: [['Accept-Encoding', 'zstd, identity;q=0.5']] },
  POST: { method: 'POST', path: '/echo', body: 'content' },
  'POST without content': { method: 'POST', path: '/echo' },
  'POST of nothing': { method: 'POST', path: '/echo', body: '' },
  'POST in chunks': { method: 'POST', path: '/echo', body: ['one ', 'two ', 'three'] },
  'POST of an empty chunked body': { method: 'POST', path: '/echo', body: [] },
  'POST of a megabyte': { method: 'POST', path: '/bytes', body: 'x'.repeat(1_000_000) },
  'POST that nobody reads': { method: 'POST', path: '/unread', body: 'x'.repeat(3_000_000) },
  'POST that expects 100': {
    method: 'POST',
    path: '/echo',
    fields: [['Expect', '100-continue']],
    body: 'expected',
  },
  PUT: { method: 'PUT', path: '/echo', body: '{"a":1}', fields: [['Content-Type', 'application/json']] },
  DELETE: { method: 'DELETE', path: '/echo' },
  'DELETE with content': { method: 'DELETE', path: '/echo', body: 'gone' },
  PATCH: { method: 'PATCH', path: '/echo', body: 'p' },
  OPTIONS: { method: 'OPTIONS', path: '/echo' },
  'a method of WebDAV': { method: 'PROPFIND', path: '/echo' },
  'a form': {
    method: 'POST',
    path: '/form',
    fields: [['Content-Type', 'multipart/form-data; boundary=b']],
    body: '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name="f"; filename="é.txt"\r\nContent-Type: text/x\r\n\r\nfile\r\n--b--\r\n',
  },
  'an encoded form': {
    method: 'POST',
    path: '/form',
    fields: [['Content-Type', 'application/x-www-form-urlencoded']],
    body: 'a=1&a=%20+&b=',
  },
  HEAD: { method: 'HEAD', path: '/known' },
  'HEAD of a stream': { method: 'HEAD', path: '/stream' },
  'HEAD of a text': { method: 'HEAD', path: '/unread' },
  'every kind of field': { path: '/fields' },
  'fields of a connection': { path: '/hop' },
  'five megabytes': { path: '/big' },
  'a known length': { path: '/known' },
  'a stream': { path: '/stream' },
  'a stream of fixed length': { path: '/streams' },
  'a stream that breaks': { path: '/breaks' },
  'an etag': { path: '/etag' },
  'an etag that fits': { path: '/etag', fields: [['If-None-Match', '"v1"']] },
  'an etag that does not': { path: '/etag', fields: [['If-None-Match', '"v0"']] },
  'a range': { path: '/range', fields: [['Range', 'bytes=2-4']] },
  'no range': { path: '/range' },
  ...Object.fromEntries(
    [200, 201, 202, 204, 205, 206, 299, 300, 304, 400, 404, 418, 429, 451, 499, 500, 503, 530, 599].map(
      (status) => [`status ${status}`, { path: `/status/${status}` }],
    ),
  ),
  'a reason of its own': { path: '/status/200/Fine' },
  'status 101 without a WebSocket': { path: '/status/101' },
  ...Object.fromEntries(
    [301, 302, 303, 307, 308].map((status) => [`redirect ${status}`, { path: `/redirect/${status}` }]),
  ),
  'a redirect that is none': { path: '/redirect/200' },
  'a relative redirect': { path: '/relative' },
  'a throw': { path: '/throw' },
  'a throw of a text': { path: '/string' },
  'a throw with a cause': { path: '/cause' },
  'a throw for a browser': { path: '/throw', fields: [['Accept', 'text/html']] },
  'a throw under HEAD': { method: 'HEAD', path: '/throw' },
  'a throw after content was sent': { method: 'POST', path: '/throw', body: 'x'.repeat(100_000) },
  'no response': { path: '/nothing' },
  'a plain object': { path: '/plain' },
  'a rejection': { path: '/reject' },
  'a status that is none': { path: '/invalid' },
  'a response whose body is used': { path: '/used' },
  'a rejection that nobody awaits': { path: '/unhandled' },
  'an answer before waitUntil': { path: '/waits' },
  passThroughOnException: { path: '/pass' },
  'an answer that never comes': { path: '/hangs' },
  'a WebSocket path without an upgrade': { path: '/ws' },
  'modules of every kind': { path: '/modules' },
  'a view of hono/jsx': { path: '/jsx' },
  variables: { path: '/env' },
  WebCrypto: { path: '/crypto' },
  'compression streams': { path: '/compression' },
  'a tee': { path: '/tee' },
  HTMLRewriter: { path: '/rewriter' },
  'the Cache API': { path: '/cache' },
  globals: { path: '/globals' },
  'code from text': { path: '/evaluates' },
  timers: { path: '/timers' },
  'an aborted fetch': { path: '/abort' },
  'an origin that is not there': { path: '/unreachable' },
  'the context of a handler': { path: '/context' },
  'import.meta': { path: '/meta' },
  'a WebSocketPair inside': { path: '/pair' },
  ...encodings(),
}

/** What becomes of content that is encoded, for clients that take it and clients that do not. */
function encodings(): Record<string, RawRequest> {
  const clients: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    'no accept-encoding': [],
    identity: [['Accept-Encoding', 'identity']],
    gzip: [['Accept-Encoding', 'gzip']],
    br: [['Accept-Encoding', 'br']],
    'gzip, br': [['Accept-Encoding', 'gzip, deflate, br, zstd']],
  }
  return Object.fromEntries(
    Object.entries(clients).flatMap(([client, fields]) =>
      ['compressible', 'gzip', 'br', 'manual'].map((path) => [
        `${path} for ${client}`,
        { path: `/${path}`, fields },
      ]),
    ),
  )
}

/** What the worker sees differently of every request. */
const SEEN: Differences = {
  'body.headers.accept-encoding':
    'the worker sees the client’s own; wrangler sets `br, gzip` and converts answers',
  'body.headers.cf-ipcountry': 'Cloudflare’s edge sets it; wrangler leaves it out',
  'body.headers.cf-ray': 'Cloudflare’s edge sets it; wrangler leaves it out',
  'body.headers.cf-visitor': 'Cloudflare’s edge sets it; wrangler leaves it out',
  'body.headers.x-forwarded-proto': 'Cloudflare’s edge sets it; wrangler leaves it out',
  'body.headers.x-real-ip': 'Cloudflare’s edge sets it; wrangler leaves it out',
  'body.cf': 'request.cf holds another plausible place',
}

/** What an error of the program is answered with. */
const THROWN: Differences = {
  reason: 'wrangler sends none',
  body: 'clients get what Cloudflare sends them, `error code: 1101`; the stack is in the terminal',
  'fields.content-type': 'as Cloudflare writes it',
  'fields.cache-control': 'as Cloudflare sends it',
}

/** The same, where wrangler's own entry throws. */
const { reason: _, ...ENTRY } = THROWN

const EMPTY: Differences = {
  ...SEEN,
  'body.headers.content-length': 'wrangler says that there is no content; the client did not',
}

const CONVERTED =
  'wrangler converts content to what the client takes, as Cloudflare does; flexi sends what the worker wrote'
const ENCODED: Differences = { 'fields.content-encoding': CONVERTED, body: CONVERTED }

const NUL = 'a NUL in a path is refused: what it means is another thing to every server'
const INTERNAL = 'a client’s own field of the runtime is dropped, where wrangler does as it says'
const ABSOLUTE = 'wrangler fails on a target with a host'

const KNOWN: Readonly<Record<string, Differences>> = {
  'an encoded NUL in a path': {
    status: NUL,
    reason: NUL,
    'fields.content-type': NUL,
    'fields.x-request-id': NUL,
    'fields.cache-control': NUL,
    body: NUL,
  },
  'an absolute target': {
    status: ABSOLUTE,
    reason: ABSOLUTE,
    'fields.content-type': ABSOLUTE,
    body: ABSOLUTE,
  },
  'fields of proxies': {
    ...SEEN,
    'body.headers.x-forwarded-proto': 'Cloudflare’s edge sets it; wrangler keeps the client’s',
  },
  'fields that only the edge may set': {
    ...SEEN,
    'body.headers.cf-connecting-ip': 'nothing a client says about itself is believed',
    'body.headers.cf-worker': 'nothing a client says about itself is believed',
  },
  'fields that only the runtime may set': {
    status: INTERNAL,
    reason: INTERNAL,
    'fields.content-type': INTERNAL,
    body: INTERNAL,
  },
  DELETE: EMPTY,
  OPTIONS: EMPTY,
  'a method of WebDAV': EMPTY,
  'POST that expects 100': {
    ...SEEN,
    'body.headers.expect': 'flexi answers it itself, as RFC 9110 asks; wrangler never does',
  },
  'HEAD of a text': { 'fields.content-length': 'what GET would say, as RFC 9110 asks' },
  'a stream that breaks': { cut: 'wrangler ends a broken stream as if it were whole' },
  'a throw under HEAD': {
    'fields.content-type': 'the fields that GET would get',
    'fields.content-length': 'the fields that GET would get',
    'fields.cache-control': 'the fields that GET would get',
  },
  'the context of a handler': { 'body.keys': 'the runtime is newer' },
  'status 101 without a WebSocket': THROWN,
  'a redirect that is none': THROWN,
  'a throw': THROWN,
  'a throw of a text': THROWN,
  'a throw with a cause': THROWN,
  'a throw after content was sent': THROWN,
  'no response': ENTRY,
  'a plain object': ENTRY,
  'a response whose body is used': ENTRY,
  'an answer that never comes': ENTRY,
  'a rejection': THROWN,
  'a status that is none': THROWN,
  passThroughOnException: THROWN,
  'a throw for a browser': {
    ...THROWN,
    'fields.x-request-id': 'of flexi’s page',
    'fields.content-security-policy': 'of flexi’s page',
    'fields.x-content-type-options': 'of flexi’s page',
  },
  'compressible for gzip': ENCODED,
  'compressible for br': ENCODED,
  'compressible for gzip, br': ENCODED,
  'gzip for identity': ENCODED,
  'br for identity': ENCODED,
  'manual for identity': ENCODED,
  'br for gzip': ENCODED,
  'br for gzip, br': ENCODED,
  'gzip for br': ENCODED,
  'manual for br': ENCODED,
  outbound: Object.fromEntries(Object.entries(SEEN).filter(([place]) => place !== 'body.cf')),
  'upgrade /ws-throws': { 'fields.content-type': 'as for any throw', body: 'as for any throw' },
  'lines of the console': { '': 'flexi prints table, group, count, assert and dir too' },
  'upgrade /echo': { ...SEEN, 'body.headers.sec-websocket-key': 'wrangler opens a connection of its own' },
  'GET /cdn-cgi/handler/scheduled?format=json&cron=quiet': {
    'fields.content-type': 'later versions of wrangler answer in JSON too',
    body: 'later versions of wrangler answer in JSON too',
  },
  'POST /cdn-cgi/handler/email?from=a@test.example&to=reject@test.example': {
    status: 'wrangler asks whether it was rejected before the handler ends',
    reason: 'wrangler asks whether it was rejected before the handler ends',
    body: 'wrangler asks whether it was rejected before the handler ends',
  },
  'POST /cdn-cgi/handler/email?from=a@test.example': { body: 'own words' },
  'POST /cdn-cgi/handler/email?from=a@test.example&to=b@test.example no mail': { body: 'own words' },
  'GET /cdn-cgi/handler/nothing': { body: 'own words; queue is a handler here' },
  'GET /__scheduled?cron=*+*+*+*+*': {
    'fields.content-type': 'no flag is needed',
    body: 'no flag is needed',
  },
  'handled GET /__scheduled?cron=*+*+*+*+*': { '': 'no flag is needed' },
}

/** `/echo` tells the worker's view of a request. */
const echoes = ({ path }: RawRequest): boolean => path.startsWith('/echo') || path.endsWith('/echo')

describeWithOracle('requests, answers and the platform are as in wrangler dev', () => {
  beforeAll(async () => {
    pair = await startPair('oracle-http')
    origin = await openOrigin()
  }, 40_000)
  afterAll(async () => {
    await pair?.[Symbol.asyncDispose]()
    await origin?.[Symbol.asyncDispose]()
  })

  test.each(Object.entries(CASES))('%s', async (name, request) => {
    expect(await unexpectedAnswers(pair, request, KNOWN[name] ?? (echoes(request) ? SEEN : {}))).toEqual([])
  })

  test('a stream of events arrives piece by piece', async () => {
    for (const peer of [pair.wrangler, pair.flexi]) {
      const { arrivals } = await ask(peer.origin, { path: '/sse' })
      expect(arrivals).toHaveLength(3)
      expect(arrivals[1]).toBeGreaterThan(100)
      expect(arrivals[2]).toBeGreaterThan(250)
    }
  })

  test('one connection takes several requests', async () => {
    expect(
      await unexpected(pair, async (peer) => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 })
        const answers: unknown[] = []
        for (const path of ['/status/200', '/throw', '/status/204', '/unread'])
          answers.push(await statusOf(`${peer.origin}${path}`, agent))
        agent.destroy()
        return answers
      }),
    ).toEqual([])
  })

  describe('WebSockets', () => {
    test('echo text and binary, keep order, and close as the client asks', async () => {
      const big = 'x'.repeat(200_000)
      expect(
        await unexpected(pair, ({ origin: url }) =>
          converse(`${url}/ws/greets`, {
            send: ['a', 'ü', Buffer.from([0, 255]), big, ''],
            answers: 6,
            close: [4100, 'mine'],
          }),
        ),
      ).toEqual([])
    })
    test('choose a subprotocol, and keep fields of the upgrade', async () => {
      expect(
        await unexpected(
          pair,
          ({ origin: url }) =>
            converse(`${url}/ws`, { protocols: ['chat', 'other'], send: ['close'], answers: 0 }),
          KNOWN['a subprotocol'],
        ),
      ).toEqual([])
    })
    test('close as the server asks', async () => {
      expect(
        await unexpected(pair, ({ origin: url }) =>
          converse(`${url}/ws`, { send: ['one', 'close'], answers: 1 }),
        ),
      ).toEqual([])
    })
    test('end when a listener throws', async () => {
      expect(
        await unexpected(pair, ({ origin: url }) =>
          converse(`${url}/ws`, { send: ['throw', 'after'], answers: 1, close: [1000, ''] }),
        ),
      ).toEqual([])
    })
    test.each(['/ws-throws', '/status/403', '/echo'])('are refused by %s', async (path) => {
      const fields = [
        ['Upgrade', 'websocket'],
        ['Connection', 'Upgrade'],
        ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
        ['Sec-WebSocket-Version', '13'],
      ] as const
      expect(
        await unexpectedAnswers(
          pair,
          { path, fields },
          KNOWN[`upgrade ${path}`] ?? (path === '/echo' ? SEEN : {}),
        ),
      ).toEqual([])
    })
  })

  describe('requests of the worker', () => {
    const FIELDS = [
      ['User-Agent', 'client'],
      ['X-Own', '1'],
      ['CF-Connecting-IP', '6.6.6.6'],
      ['Cookie', 'a=1'],
    ] as const
    test('what an origin is asked when a request is passed on', async () => {
      expect(
        await unexpectedAnswers(
          pair,
          { path: `/outbound?to=${origin.url}/seen`, fields: FIELDS },
          KNOWN['outbound'],
        ),
      ).toEqual([])
    })
    test('what an origin is asked with content', async () => {
      expect(
        await unexpectedAnswers(
          pair,
          { method: 'POST', path: `/outbound?to=${origin.url}/seen`, fields: FIELDS, body: 'text' },
          KNOWN['outbound'],
        ),
      ).toEqual([])
    })
    test.each(['tcp', 'calls'])('sockets of the worker: %s', async (name) => {
      expect(await unexpectedAnswers(pair, { path: `/${name}?to=${origin.url}` })).toEqual([])
      expect((await ask(pair.flexi.origin, { path: `/${name}?to=${origin.url}` })).status).toBe(200)
    })
    test.each(['/seen', '/gzip', '/redirect', '/missing', '/cookies'])(
      'what comes back from %s',
      async (path) => {
        expect(
          await unexpectedAnswers(
            pair,
            { path: `/plainFetch?to=${origin.url}${path}` },
            KNOWN[`fetch ${path}`],
          ),
        ).toEqual([])
      },
    )
  })

  describe('events by hand', () => {
    const FORM = [['Content-Type', 'message/rfc822']] as const
    const MAIL =
      'From: <a@test.example>\r\nTo: <b@test.example>\r\nMessage-ID: <1@test.example>\r\nSubject: hi\r\n\r\nhello\r\n'
    const EVENTS: readonly RawRequest[] = [
      { path: '/cdn-cgi/handler/scheduled' },
      { path: '/cdn-cgi/handler/scheduled?cron=*+*+*+*+*&time=1700000000000' },
      { path: '/cdn-cgi/handler/scheduled?cron=fail' },
      { path: '/cdn-cgi/handler/scheduled?cron=quiet' },
      { path: '/cdn-cgi/handler/scheduled?format=json&cron=quiet' },
      { method: 'POST', path: '/cdn-cgi/handler/scheduled' },
      { path: '/cdn-cgi/mf/scheduled?cron=1+1+*+*+*' },
      {
        method: 'POST',
        path: '/cdn-cgi/handler/email?from=a@test.example&to=b@test.example',
        fields: FORM,
        body: MAIL,
      },
      {
        method: 'POST',
        path: '/cdn-cgi/handler/email?from=a@test.example&to=reject@test.example',
        fields: FORM,
        body: MAIL,
      },
      { method: 'POST', path: '/cdn-cgi/handler/email?from=a@test.example', fields: FORM, body: MAIL },
      {
        method: 'POST',
        path: '/cdn-cgi/handler/email?from=a@test.example&to=b@test.example',
        fields: FORM,
        body: 'no mail',
      },
      { path: '/cdn-cgi/handler/nothing' },
      { path: '/cdn-cgi/other' },
      { path: '/__scheduled?cron=*+*+*+*+*' },
    ]
    test.each(
      EVENTS.map((request) => ({
        request,
        name: `${request.method ?? 'GET'} ${request.path} ${request.body === 'no mail' ? request.body : ''}`,
      })),
    )('$name', async ({ name, request }) => {
      expect(
        await unexpectedAnswers(
          pair,
          request,
          KNOWN[name.trim()] ?? (request.path.endsWith('other') ? SEEN : {}),
        ),
      ).toEqual([])
      expect(await unexpected(pair, (peer) => handled(peer), KNOWN[`handled ${name.trim()}`])).toEqual([])
    })
  })

  test('lines of the console: text and order', async () => {
    expect(
      await unexpected(
        pair,
        async (peer) => {
          await ask(peer.origin, { path: '/log' })
          await expect.poll(() => peer.output()).toContain('END')
          return printed(peer)
        },
        KNOWN['lines of the console'],
      ),
    ).toEqual([])
  })
})

/** The events that the worker was given since it was last asked; a time of now is none to compare. */
async function handled({ origin: url }: Peer): Promise<unknown> {
  const { body } = await ask(url, { path: '/events' })
  const events = JSON.parse(body.toString()) as { time?: number }[]
  return events.map((event) =>
    event.time === undefined
      ? event
      : { ...event, time: event.time === 1_700_000_000_000 ? event.time : 'now' },
  )
}

/** Lines between the first and the last of `/log`, without what each puts before them. */
function printed(peer: Peer): string[] {
  const lines = peer.output().split('\n')
  const own =
    peer.name === 'flexi'
      ? lines.filter((text) => text.includes('│')).map((text) => text.replace(/^.*?│ ?/, ''))
      : lines
  const plain = own
    .map((text) => text.replace(/^[✘▲] \[(ERROR|WARNING)\] /, '').trimEnd())
    .filter((text) => text !== '')
  return plain.slice(
    plain.findLastIndex((text) => text.startsWith('text 1')),
    plain.findLastIndex((text) => text === 'END') + 1,
  )
}

async function statusOf(url: string, agent: Agent): Promise<unknown> {
  const incoming = await new Promise<IncomingMessage>((resolve, reject) =>
    get(url, { agent }, resolve).on('error', reject),
  )
  incoming.resume()
  await once(incoming, 'end')
  return incoming.statusCode
}
