import type { z as Zod } from 'zod'

import { addresses, flag, text } from './schema-parts.ts'

export function serverSchema(z: typeof Zod) {
  const port = 'must be a whole number from 0 to 65535'
  return z
    .strictObject(
      {
        port: z
          .int(port)
          .min(0, port)
          .max(65_535, port)
          .optional()
          .describe('Default 8069; 0 takes any free one.'),
        host: text(z).optional().describe('Address to listen on. Default 127.0.0.1.'),
        https: httpsSchema(z).optional(),
        trusted_proxies: addresses(z)
          .optional()
          .describe('Proxies whose X-Forwarded-* and Forwarded are believed, for example "10.0.0.0/8".'),
        paths: z
          .enum(['checked', 'raw'], 'must be "checked" or "raw"')
          .optional()
          .describe('"raw" matches paths byte by byte, as FlexiLib does. Default "checked".'),
      },
      'must be an object',
    )
    .describe('Flags and environment variables win over it.')
}

function httpsSchema(z: typeof Zod) {
  const certificates = 'must be a list of {"cert", "key"}'
  const pair = z.strictObject(
    {
      cert: text(z).describe('PEM file: the certificate, then its chain.'),
      key: text(z).describe('PEM file: its key.'),
    },
    'must be an object with "cert" and "key"',
  )
  return z
    .union(
      [
        flag(z),
        z.strictObject(
          {
            certificates: z
              .array(pair, certificates)
              .min(1, certificates)
              .describe('Chosen by the names in them; the first is for clients that name none.'),
          },
          'must be an object with "certificates"',
        ),
      ],
      'must be true, false or {"certificates": [...]}',
    )
    .describe('Speaks HTTPS and HTTP/2: with a certificate of its own making, or with yours.')
}
