import type { ServerResponse } from 'node:http'

import type { SocketFetcher } from '../../core/fetcher.ts'
import { discard } from '../../forward/request-body.ts'

/** Below the domain, but nobody's: YFASS's status. */
export const notDeployed = refusing(403, 'no function runs under this name', {
  code: 'FLEXI_FUNCTION_UNKNOWN',
  hint: 'Deploy one with "flexi deploy", or start it with "flexi functions start".',
})

/** RFC 9110 section 15.5.20: the client has come to the wrong server. */
export const misdirected = refusing(421, 'this server answers for another domain', {
  code: 'FLEXI_NO_ROUTE',
  hint: 'Name the host among the domains of a project, and deploy it.',
})

export const hostless = refusing(400, 'the request names no host', {
  code: 'FLEXI_BAD_REQUEST',
  hint: 'Send a Host field.',
})

/** Answers everything with an error as the daemon's API writes it. */
function refusing(
  status: number,
  error: string,
  { code, hint }: { readonly code: string; readonly hint: string },
): SocketFetcher {
  const text = JSON.stringify({ error, code, hint })
  return {
    handle(incoming, outgoing: ServerResponse) {
      outgoing.writeHead(status, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(text),
        'Cache-Control': 'no-store',
      })
      outgoing.end(text)
      discard(incoming)
      return Promise.resolve()
    },
  }
}
