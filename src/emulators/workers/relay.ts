import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { errorMessage } from '../../core/errors.ts'
import type { RequestContext } from '../../core/fetcher.ts'
import type { FieldRules } from '../../forward/fields.ts'
import { forwardHttp1, type Http1Target } from '../../forward/http1-forward.ts'
import { Http1Pool } from '../../forward/http1-pool.ts'
import { NameSet } from '../../forward/name-set.ts'
import { forwardUpgrade } from '../../forward/upgrade.ts'
import { WaitingList } from '../../forward/waiting-list.ts'
import { upgradeAnswer } from './answers.ts'
import type { RuntimeSocket } from './runtime-socket.ts'
import { EDGE_NAMES, edgeFields, edgeLines } from './edge-fields.ts'
import { faultRule, type Flight } from './fault-catcher.ts'

/** The way of requests to one socket of workerd. */
export interface Relay {
  /** The requests without a head, oldest first. */
  readonly flights: Iterable<Flight>
  /**
   * Resolves when the answer has been sent, or the client has gone.
   * @throws ThrownError, and the error a flight was aborted with, each as it is or as the cause of an UpstreamError; UpstreamError.
   */
  handle(incoming: IncomingMessage, outgoing: ServerResponse, context: RequestContext): Promise<void>
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, context: RequestContext): void
  /** Breaks what is under way. */
  close(): Promise<void>
}

export interface RelayOptions {
  readonly socket: RuntimeSocket
  /** Response field that marks a failure of the program (`FacadeNames.faultField`). */
  readonly faultField: string
}

/** What miniflare's router of assets tells miniflare's own entry. */
const HIDDEN = new NameSet('x-mf-additional-response-log')

const RULES: FieldRules = { host: 'keep', forwarded: false, never: EDGE_NAMES }

export function openRelay({ socket: { origin, path }, faultField }: RelayOptions): Promise<Relay> {
  const server = { host: origin.hostname, port: Number(origin.port), socketPath: path }
  const pool = new Http1Pool(server)
  const target: Http1Target = {
    ...RULES,
    pool,
    origin: origin.origin,
    waiting: new WaitingList(),
    faults: faultRule(faultField),
    hidden: HIDDEN,
  }
  return Promise.resolve({
    flights: target.waiting,
    handle(incoming, outgoing, context) {
      const lines = edgeLines(context, incoming.headers['accept-encoding'])
      return forwardHttp1(target, { incoming, outgoing, context, lines })
    },
    upgrade(incoming, socket, head, context) {
      const fields = edgeFields(context, incoming.headers['accept-encoding'])
      const exchange = { incoming, socket, head, context }
      forwardUpgrade(server, exchange, { ...RULES, fields }).catch((error: unknown) => {
        context.log.warn('upgrade.fail', { error: errorMessage(error) })
        if (!socket.destroyed) socket.end(upgradeAnswer('ended'))
      })
    },
    close() {
      pool.close()
      return Promise.resolve()
    },
  })
}
