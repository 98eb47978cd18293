import type { ServerResponse } from 'node:http'

import type { AccessRecord } from '../core/events.ts'
import { requestEvent } from '../core/events.ts'
import type { SocketFetcher } from '../core/fetcher.ts'
import { createMetrics } from '../metrics/metrics.ts'
import type { Accounts } from './accounts.ts'

export interface OwnPathsOptions {
  readonly api: SocketFetcher
  readonly accounts: Accounts
  readonly isDraining: () => boolean
  readonly inFlight: () => number
}

/** What the daemon answers under its own name: `/_flexi/healthz` to everyone, `/_flexi/metrics` to who may read, and the API. */
export function ownPaths({ api, accounts, isDraining, inFlight }: OwnPathsOptions): {
  readonly fetcher: SocketFetcher
  observe(record: AccessRecord): void
} {
  const metrics = createMetrics({ controlPrefix: '/_flexi' })
  const scrape = async (outgoing: ServerResponse): Promise<void> => {
    const { contentType, text } = await metrics.scrape({
      inFlight: inFlight(),
      pools: new Map(),
      origins: [],
    })
    answer(outgoing, 200, text, contentType)
  }
  return {
    observe: (record) => metrics.observe(requestEvent(record)),
    fetcher: {
      async handle(incoming, outgoing, context) {
        const [path] = context.raw.target.split('?')
        if (path === '/_flexi/healthz') {
          const status = isDraining() ? 'draining' : 'ok'
          answer(outgoing, status === 'ok' ? 200 : 503, JSON.stringify({ status }), 'application/json')
        } else if (path === '/_flexi/metrics') {
          const caller = accounts.authenticate(incoming.headers.authorization, context.clientAddress)
          accounts.demand(caller, 'read')
          await scrape(outgoing)
        } else await api.handle(incoming, outgoing, context)
      },
    },
  }
}

function answer(outgoing: ServerResponse, status: number, text: string, contentType: string): void {
  outgoing.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
  })
  outgoing.end(text)
}
