import type { z as Zod } from 'zod'

import { count, flag, requestKey, seconds, text } from './schema-parts.ts'

export function upstreamSchema(z: typeof Zod) {
  return z
    .strictObject(
      {
        balance: z
          .enum(['round-robin', 'least-requests', 'random-two', 'hash'], BALANCE)
          .optional()
          .describe('Which upstream takes the next request. Default "round-robin".'),
        hash: requestKey(z)
          .optional()
          .describe('Requests alike in it go to the same upstream; "balance" is then "hash".'),
        host: z
          .string(HOST)
          .regex(/^[\w.~:[\]-]+$/, HOST)
          .optional()
          .describe('"keep" sends the Host of the client, "upstream" that of the upstream, or a name.'),
        http2: flag(z).optional().describe('Speaks HTTP/2 to the upstreams; gRPC needs it.'),
        tls: tlsSchema(z).optional(),
        timeouts: timeoutsSchema(z).optional(),
        retries: count(z, 0).optional().describe('Further upstreams asked when one fails. Default: all.'),
        retry_status: z
          .array(z.int(FAILURE).min(400, FAILURE).max(599, FAILURE), 'must be a list of statuses')
          .optional()
          .describe('Answers that count as a failure, for example [502, 503].'),
        health: healthSchema(z).optional(),
        eject: ejectSchema(z).optional(),
        request_headers: fieldsSchema(z).optional().describe('Fields set on the request; null removes one.'),
        response_headers: fieldsSchema(z)
          .optional()
          .describe('Fields set on the response; null removes one.'),
      },
      'must be an object',
    )
    .describe('How the upstreams of the route are asked.')
}

const BALANCE = 'must be "round-robin", "least-requests", "random-two" or "hash"'
const HOST = 'must be "keep", "upstream" or a host name'
const STATUS = 'must be a status from 100 to 599'
const FAILURE = 'must be a status from 400 to 599'

function tlsSchema(z: typeof Zod) {
  return z
    .strictObject(
      {
        verify: flag(z).optional().describe('false accepts any certificate. Default true.'),
        ca: text(z).optional().describe('PEM file of authorities trusted besides those of the system.'),
        cert: text(z).optional().describe('PEM file of the certificate shown to the upstream.'),
        key: text(z).optional().describe('PEM file of its key.'),
        server_name: z
          .string('must be a host name')
          .regex(/^[\w.-]+$/, 'must be a host name')
          .optional()
          .describe('Name asked for and checked, in place of the host of the upstream.'),
      },
      'must be an object',
    )
    .describe('For upstreams with https.')
}

function timeoutsSchema(z: typeof Zod) {
  return z
    .strictObject(
      {
        connect: seconds(z).optional().describe('Until there is a connection. Default 10.'),
        try: seconds(z).optional().describe('Until the head of the answer, for one try. Default 60.'),
        total: seconds(z).optional().describe('The same, for all tries together. Default: that of one.'),
        idle: seconds(z).optional().describe('Longest silence within a body. Default 300.'),
      },
      'must be an object',
    )
    .describe('In seconds; fractions are allowed.')
}

function healthSchema(z: typeof Zod) {
  const rule = 'must be true, a path that starts with "/", or an object with "path"'
  const path = z.string().regex(/^\/[^\s#]*$/, rule)
  const status = 'must be the first and the last good status, for example [200, 399]'
  return z
    .union(
      [
        flag(z),
        path,
        z.strictObject(
          {
            path: path.optional().describe('Asked with GET. Default "/".'),
            interval: seconds(z).optional().describe('Seconds between two checks. Default 5.'),
            timeout: seconds(z).optional().describe('Seconds for one check. Default 2.'),
            passes: count(z, 1).optional().describe('Good checks until it is asked again. Default 2.'),
            fails: count(z, 1).optional().describe('Bad checks until it is asked no more. Default 3.'),
            status: z
              .array(z.int(STATUS).min(100, STATUS).max(599, STATUS), status)
              .min(2, status)
              .max(2, status)
              .optional()
              .describe('First and last good status. Default [200, 399].'),
          },
          'must be an object',
        ),
      ],
      rule,
    )
    .describe('Asks each upstream now and then whether it is well. Default false.')
}

function ejectSchema(z: typeof Zod) {
  return z
    .union(
      [
        z.literal(false),
        z.strictObject(
          {
            fails: count(z, 1).optional().describe('Failed requests in a row. Default 3.'),
            seconds: seconds(z).optional().describe('How long it is not asked then. Default 10.'),
          },
          'must be an object',
        ),
      ],
      'must be false, or an object with "fails" and "seconds"',
    )
    .describe('Leaves out an upstream whose requests fail. On unless false.')
}

function fieldsSchema(z: typeof Zod) {
  const name = z
    .string()
    .regex(/^[\w!#$%&'*+.^`|~-]+$/, 'is no name of a field: write letters, digits and "-"')
  const value = z
    .string()
    .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'must be a value of a field: one line of Latin-1')
  return z.record(
    name,
    z.union([value, z.null()], 'must be a string, or null'),
    'must be an object of fields',
  )
}
