import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { RouteRule } from '../../../src/core/route.ts'
import {
  disconnectEvent,
  messageEvent,
  type Client,
} from '../../../src/emulators/lambda/web-sockets/events.ts'
import { FrameSizes } from '../../../src/emulators/lambda/web-sockets/frame-sizes.ts'
import { evaluateSelection, routeKeyOf } from '../../../src/emulators/lambda/web-sockets/route-key.ts'
import { webSocketRoutes } from '../../../src/emulators/lambda/web-sockets/routes.ts'

/** A frame as a client writes it (RFC 6455 section 5.2): its bytes look like heads of larger ones. */
function frame(bytes: number): Buffer {
  const content = Buffer.alloc(4 + bytes, 0xff)
  if (bytes < 126) return Buffer.concat([Buffer.from([0x81, 0x80 | bytes]), content])
  const head = Buffer.alloc(bytes < 65_536 ? 4 : 10)
  head.writeUInt16BE(0x8100 | (head.length === 4 ? 0xfe : 0xff))
  if (head.length === 4) head.writeUInt16BE(bytes, 2)
  else head.writeBigUInt64BE(BigInt(bytes), 2)
  return Buffer.concat([head, content])
}

/** The bytes in pieces of these sizes, over and over. */
function pieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    found.push(bytes.subarray(at, at + size))
    at += size
  }
  return found
}

describe('sizes of frames', () => {
  const LIMIT = 70_000
  const small = fc.integer({ min: 0, max: LIMIT })
  const cuts = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 4 })

  test('frames within the limit pass, however the network cuts them', () => {
    fc.assert(
      fc.property(fc.array(small, { maxLength: 4 }), cuts, (lengths, sizes) => {
        const reader = new FrameSizes(LIMIT)
        const taken = pieces(Buffer.concat(lengths.map(frame)), sizes).map((piece) => reader.take(piece))
        expect(taken).not.toContain(false)
      }),
      { numRuns: 50 },
    )
  })

  test('the first frame above it is noticed, before its content is there', () => {
    fc.assert(
      fc.property(fc.array(small, { maxLength: 3 }), cuts, (lengths, sizes) => {
        const reader = new FrameSizes(LIMIT)
        const head = frame(LIMIT + 1).subarray(0, 10)
        const bytes = Buffer.concat([...lengths.map(frame), head])
        const taken = pieces(bytes, sizes).map((piece) => reader.take(piece))
        expect(taken).toContain(false)
      }),
      { numRuns: 50 },
    )
  })

  test.each([0, 125, 126, 65_535, 65_536])('a length is read in each of its forms: %i', (bytes) => {
    expect(new FrameSizes(bytes).take(frame(bytes))).toBe(true)
    if (bytes > 0) expect(new FrameSizes(bytes - 1).take(frame(bytes))).toBe(false)
  })
})

describe('route selection', () => {
  test.each([
    ['$request.body.action', '{"action":"join"}', 'join'],
    ['${request.body.action}', '{"action":"join"}', 'join'],
    ['$request.body.a.b', '{"a":{"b":7}}', '7'],
    ['${request.body.version}-beta', '{"version":true}', 'true-beta'],
    ['$request.body.a/$request.body.b', '{"a":"x","b":"y"}', 'x/y'],
    ['\\$default', '{}', '$default'],
    ['$request.body.action', '{"action":null}', undefined],
    ['$request.body.action', '{"action":{}}', undefined],
    ['$request.body.action', '"action"', undefined],
    ['$request.body.action', 'action', undefined],
    ['$request.body.toString', '{}', undefined],
    ['$request.body.0', '["x"]', 'x'],
  ])('%s of %s is %s', (expression, message, key) => {
    expect(evaluateSelection(expression, message)).toBe(key)
  })

  test('no message reaches what connecting and leaving call', () => {
    const routes = { $connect: 1, $disconnect: 1, join: 1 }
    expect(routeKeyOf({ routes }, '{"action":"$connect"}')).toBeUndefined()
    expect(routeKeyOf({ routes }, '{"action":"$disconnect"}')).toBeUndefined()
    expect(routeKeyOf({ routes }, '{"action":"join"}')).toBe('join')
    expect(routeKeyOf({ routes: { ...routes, $default: 1 } }, '{"action":"$connect"}')).toBe('$default')
  })

  test('any text is a message, and names no route by accident', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(routeKeyOf({ routes: { $default: 1 } }, text)).toBe('$default')
      }),
    )
  })
})

describe('the rules of WebSocket APIs', () => {
  const origin = { file: '/serverless.yml', line: 1, column: 1 }
  const api = (apiId: string, stage: string) => ({
    origin,
    options: { apiId, stage, routes: { $default: { function: 'hello' } } },
  })
  const patterns = (rules: readonly RouteRule[]): string[] => rules.map(({ pattern }) => pattern)

  test('each has its stage, and the first one the root besides', () => {
    expect(patterns(webSocketRoutes([api('one', 'dev'), api('two', 'beta'), api('three', 'dev')]))).toEqual([
      '/dev/@connections/{connectionId}',
      'WebSocket /dev',
      '/beta/@connections/{connectionId}',
      'WebSocket /beta',
      '/three/dev/@connections/{connectionId}',
      'WebSocket /three/dev',
      '/@connections/{connectionId}',
      'WebSocket /',
    ])
  })

  test('an API without routes has none, and takes nothing from others', () => {
    const empty = { origin, options: { apiId: 'none', stage: 'dev', routes: {} } }
    expect(patterns(webSocketRoutes([empty, api('one', 'dev')]))).toContain('WebSocket /dev')
    expect(webSocketRoutes([empty])).toEqual([])
  })
})

/** Recorded from the real service; only their shape is borrowed, and only where they are at hand. */
const RECORDED = join(import.meta.dirname, '../../../../shared/fixtures/lambda/events')

describe('recorded events', () => {
  if (!existsSync(RECORDED)) {
    test.skip(
      'the same connection makes the same events (not here: the recordings are not beside the project)',
    )
    return
  }
  const recorded = (name: string): RecordedEvent =>
    JSON.parse(readFileSync(join(RECORDED, `apigw-websocket-request-${name}.json`), 'utf8')) as RecordedEvent

  test('a message', () => {
    const event = recorded('send-message')
    const made = messageEvent(event.requestContext, clientOf(event), {
      routeKey: '$default',
      body: event.body,
    })
    expect(made.event).toEqual({
      ...event,
      requestContext: {
        ...event.requestContext,
        ...OWN,
        messageId: expect.stringMatching(/^[\w-]{15}=$/),
      },
    })
  })

  test('the end of a connection', () => {
    const event = recorded('disconnect')
    const ending = { code: 1001, reason: '' }
    expect(disconnectEvent(event.requestContext, clientOf(event), ending).event).toEqual({
      ...event,
      requestContext: { ...event.requestContext, ...OWN },
    })
  })
})

/** What each event has of its own. */
const OWN = {
  requestId: expect.stringMatching(/^[\w-]{15}=$/),
  extendedRequestId: expect.stringMatching(/^[\w-]{15}=$/),
  requestTime: expect.stringMatching(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/),
  requestTimeEpoch: expect.any(Number),
}

interface RecordedEvent {
  readonly body: string
  readonly requestContext: {
    readonly apiId: string
    readonly stage: string
    readonly connectionId: string
    readonly connectedAt: number
    readonly domainName: string
    readonly identity: { readonly sourceIp: string; readonly userAgent: string }
  }
}

function clientOf({ requestContext }: RecordedEvent): Client {
  const { connectionId: id, connectedAt, domainName, identity } = requestContext
  return { id, connectedAt, domainName, ...identity, authorized: undefined }
}
