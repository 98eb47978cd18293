import type { z as Zod } from 'zod'

import { addresses, count, flag, requestKey, text } from './schema-parts.ts'
import { upstreamSchema } from './upstream-schema.ts'

export function routeSchema(z: typeof Zod) {
  return z.strictObject(
    {
      path: z
        .string('must be a path that starts with "/"')
        .regex(/^\/[^?#\s]*$/, 'must be a path: a "/" first, and no space, "?" or "#"')
        .describe('A path and everything below it: "/api" takes "/api" and "/api/x", not "/apix".'),
      header: z
        .string('must be "Name: value-prefix"')
        .regex(/^[\w!#$%&'*+.^`|~-]+:/, 'must be "Name: value-prefix"')
        .optional()
        .describe('Only requests whose field starts so, for example "Host: iam".'),
      to: targetSchema(z),
      strip_prefix: flag(z)
        .optional()
        .describe('Takes "path" off the start of the path before an upstream gets it. Default false.'),
      upstream: upstreamSchema(z).optional(),
      static: staticSchema(z).optional(),
      limits: limitsSchema(z).optional(),
      allow: addresses(z)
        .min(1, 'must name an address')
        .optional()
        .describe('Who may ask, for example ["127.0.0.1", "10.0.0.0/8", "::1"]. Default: everyone.'),
      deny: addresses(z).optional().describe('Who may not; it wins over "allow".'),
      compress: flag(z)
        .optional()
        .describe('Compresses answers with br or gzip when that is worth it. Default false.'),
    },
    'must be an object with "path" and "to"',
  )
}

function targetSchema(z: typeof Zod) {
  const target = 'must be a target, or a list of upstreams'
  const origin = z.strictObject(
    {
      url: text(z).describe('For example "http://127.0.0.1:3000".'),
      weight: count(z, 0)
        .max(65_535, 'must be at most 65535')
        .optional()
        .describe('Its share beside those of the others. Default 1; 0 takes no requests.'),
      max_requests: count(z, 1).optional().describe('Requests at once. Default: no limit.'),
      backup: flag(z).optional().describe('Asked only while no other can be.'),
    },
    'must be an object with "url"',
  )
  return z
    .union(
      [
        z.string().min(1, target),
        z.array(z.union([z.string().min(1, target), origin], 'must be an upstream'), target).min(1, target),
      ],
      target,
    )
    .describe('A function, an upstream ("http://host:port"), a folder, a handler or a library.')
}

function staticSchema(z: typeof Zod) {
  const file = z
    .string('must be the name of a file in the folder')
    .regex(/^(?![./])(?!.*\/\.)[^\\\0]+$/, 'must be the name of a file in the folder')
  return z
    .strictObject(
      {
        index: z
          .union([file, z.literal(false)], 'must be the name of a file, or false')
          .optional()
          .describe('File that answers for a folder. Default "index.html"; false answers 404.'),
        fallback: file
          .optional()
          .describe('File that answers for a page that is no file: "index.html" of a single-page app.'),
        precompressed: flag(z)
          .optional()
          .describe('Serves "a.js.br", "a.js.zst" or "a.js.gz" for "a.js" where there is one. Default true.'),
        cache_control: z
          .string('must be a value of Cache-Control')
          .regex(/^[\x20-\x7e]+$/, 'must be a value of Cache-Control')
          .optional()
          .describe('Cache-Control of every file. Default "no-cache": it may be kept, and is asked about.'),
      },
      'must be an object',
    )
    .describe('How a folder is served.')
}

function limitsSchema(z: typeof Zod) {
  return z
    .strictObject(
      {
        rate: rateSchema(z).optional(),
        body: bytes(z).optional().describe('Content of a request, for example "10mb"; beyond it 413.'),
        headers: bytes(z).optional().describe('Fields of a request, for example "8kb"; beyond it 431.'),
      },
      'must be an object',
    )
    .describe('What a request may be, before anything answers it.')
}

function rateSchema(z: typeof Zod) {
  return z
    .strictObject(
      {
        requests: count(z, 1).describe('How many requests.'),
        seconds: z
          .number('must be a number of seconds above 0')
          .positive('must be a number of seconds above 0')
          .max(86_400, 'must be at most 86400, a day')
          .optional()
          .describe('In how many seconds. Default 1.'),
        burst: count(z, 0).optional().describe('Requests that may come at once above the rate. Default 0.'),
        by: requestKey(z).optional().describe('Whose requests are counted together. Default "address".'),
      },
      'must be an object with "requests"',
    )
    .describe('Requests that come faster get 429.')
}

function bytes(z: typeof Zod) {
  const rule = 'must be a number of bytes, or a string like "10mb"'
  return z.union(
    [z.int(rule).min(0, rule), z.string().regex(/^[0-9]+(\.[0-9]+)? ?([kKmMgG]?[bB])?$/, rule)],
    rule,
  )
}
