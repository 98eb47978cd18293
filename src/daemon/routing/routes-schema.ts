import { z } from 'zod'

import type { FixedAnswer } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { RouteMatcher, RouteProtection, RouteRule, RouteTarget } from '../../core/route.ts'
import type { RequestKey, UpstreamOrigin, UpstreamSettings } from '../../core/upstream.ts'
import { parseAddressBlock } from '../../core/addresses.ts'

const text = z.string().max(8_192)
const FIELD_NAME = /^[\w!#$%&'*+.^`|~-]+$/
/** Nothing in it ends a line (RFC 9110 section 5.5). */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const fieldName = text.regex(FIELD_NAME)
const fieldValue = text.regex(FIELD_VALUE)
const milliseconds = z.number().positive().max(86_400_000)
const count = z.int().min(0)

const segment = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('literal'), text }),
  z.strictObject({ kind: z.literal('parameter'), name: text }),
  z.strictObject({ kind: z.literal('greedy'), name: text }),
])

const matcher = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('prefix'), prefix: text }),
  z.strictObject({ kind: z.literal('field'), name: text, valuePrefix: text, pathPrefix: text.optional() }),
  z.strictObject({
    kind: z.literal('path'),
    path: text,
    field: z.strictObject({ name: text, valuePrefix: text }).optional(),
  }),
  z.strictObject({
    kind: z.literal('template'),
    method: text.optional(),
    segments: z.array(segment).max(100).optional(),
  }),
  z.strictObject({
    kind: z.literal('host'),
    host: text,
    isSuffix: z.boolean(),
    path: text,
    isPrefix: z.boolean(),
  }),
])

const requestKey: z.ZodType<RequestKey> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('address') }),
  z.strictObject({ kind: z.literal('path') }),
  z.strictObject({ kind: z.literal('field'), name: fieldName }),
  z.strictObject({ kind: z.literal('cookie'), name: fieldName }),
])

const origin: z.ZodType<UpstreamOrigin> = z.strictObject({
  url: text.refine((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol), 'is no http URL'),
  weight: count.max(65_535).optional(),
  requestsMax: count.optional(),
  backup: z.boolean().optional(),
})

const fields = z.record(fieldName, fieldValue.nullable())
const status = z.int().min(100).max(599)

const settings: z.ZodType<UpstreamSettings> = z.strictObject({
  balance: z
    .union([
      z.strictObject({ kind: z.enum(['round-robin', 'least-requests', 'random-two']) }),
      z.strictObject({ kind: z.literal('hash'), key: requestKey }),
    ])
    .optional(),
  health: z
    .strictObject({
      path: text.regex(/^\/[\x21-\x7e]*$/),
      intervalMs: milliseconds.min(100).optional(),
      timeoutMs: milliseconds.optional(),
      passes: count.optional(),
      fails: count.optional(),
      status: z.tuple([status, status]).optional(),
    })
    .optional(),
  eject: z
    // JSON writes Infinity, which never ejects, as null.
    .strictObject({ fails: z.union([count, z.null().transform(() => Infinity)]), forMs: milliseconds })
    .optional(),
  retries: count.max(100).optional(),
  retryStatus: z.array(status).optional(),
  timeouts: z
    .strictObject({
      connectMs: milliseconds.optional(),
      tryMs: milliseconds.optional(),
      totalMs: milliseconds.optional(),
      idleMs: milliseconds.optional(),
    })
    .optional(),
  host: fieldValue.optional(),
  http2: z.boolean().optional(),
  // Files of the machine that it was deployed from are none of this one.
  tls: z.strictObject({ verify: z.boolean().optional(), serverName: text.optional() }).optional(),
  stripPrefix: text.optional(),
  requestFields: fields.optional(),
  responseFields: fields.optional(),
})

const fileName = text.regex(/^(?![./])(?!.*\/\.)[^\\\0]+$/, 'must be the name of a file in the folder')

const target = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('function'), name: text }),
  z.strictObject({
    kind: z.literal('upstream'),
    origins: z.array(origin).min(1).max(1_000),
    settings: settings.optional(),
  }),
  z.strictObject({
    kind: z.literal('static'),
    // Relative to the artifact; it is put where that lies, and checked, before anything is opened.
    directory: text.transform((path) => path as AbsolutePath),
    settings: z
      .strictObject({
        index: z.union([fileName, z.literal(false)]).optional(),
        fallback: fileName.optional(),
        precompressed: z.boolean().optional(),
        cacheControl: fieldValue.optional(),
      })
      .optional(),
  }),
])

const address = text.refine((block) => parseAddressBlock(block) !== undefined, 'is no address')

const protection: z.ZodType<RouteProtection> = z.strictObject({
  rate: z
    .strictObject({
      requests: z.number().positive(),
      perMs: milliseconds,
      burst: count.optional(),
      key: requestKey,
    })
    .optional(),
  allow: z.array(address).optional(),
  deny: z.array(address).optional(),
  bodyBytesMax: count.optional(),
  fieldBytesMax: count.optional(),
  compress: z.boolean().optional(),
})

const rule = z.strictObject({
  matcher: matcher as z.ZodType<RouteMatcher>,
  target: target as z.ZodType<RouteTarget>,
  pattern: text,
  origin: z.strictObject({ file: text, line: z.int(), column: z.int() }),
  options: z.unknown().optional(),
  protection: protection.optional(),
})

const fixedAnswer: z.ZodType<FixedAnswer> = z.strictObject({
  status,
  body: z.string().max(1_048_576),
  contentType: fieldValue.optional(),
  fields: z.array(fieldValue).optional(),
})

export const shippedRoutesSchema = z.strictObject({
  rules: z.array(rule as z.ZodType<RouteRule>).max(10_000),
  noRoute: fixedAnswer.optional(),
})
