import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { errorMessage } from '../../core/errors.ts'
import type { RequestContext } from '../../core/fetcher.ts'
import { createDispatcher, forward, type ForwardTarget } from '../../forward/forward.ts'
import { forwardUpgrade } from '../../forward/upgrade.ts'
import { upgradeAnswer } from './answers.ts'
import { edgeFields, TRUSTED_FIELDS } from './edge-fields.ts'
import { createFaultCatcher, type Flight } from './fault-catcher.ts'

/** The way of requests to one socket of workerd. */
export interface Relay {
  /** The requests without a head, oldest first. */
  readonly flights: ReadonlySet<Flight>
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
  readonly origin: URL
  /** Response field that marks a failure of the program (`FacadeNames.faultField`). */
  readonly faultField: string
}

type FieldRules = Pick<ForwardTarget, 'host' | 'forwarded' | 'fields' | 'dropped'>

export async function openRelay({ origin, faultField }: RelayOptions): Promise<Relay> {
  const flights = new Set<Flight>()
  const connections = await createDispatcher(origin.origin)
  const dispatcher = createFaultCatcher({ dispatcher: connections, faultField, flights })
  return {
    flights,
    async handle(incoming, outgoing, context) {
      const target = {
        dispatcher,
        origin: origin.origin,
        ...fieldRules(incoming, context),
        // The watchdog knows better than a timer whether silence is an error.
        headersMs: 0,
        bodyMs: 0,
      }
      await forward(target, { incoming, outgoing, context })
    },
    upgrade(incoming, socket, head, context) {
      const target = { host: origin.hostname, port: Number(origin.port) }
      const exchange = { incoming, socket, head, context }
      forwardUpgrade(target, exchange, fieldRules(incoming, context)).catch((error: unknown) => {
        context.log.warn('upgrade.fail', { error: errorMessage(error) })
        if (!socket.destroyed) socket.end(upgradeAnswer('ended'))
      })
    },
    async close() {
      await connections.destroy()
    },
  }
}

function fieldRules(incoming: IncomingMessage, context: RequestContext): FieldRules {
  return {
    host: 'keep',
    forwarded: false,
    fields: edgeFields(context, incoming.headers['accept-encoding']),
    dropped: TRUSTED_FIELDS,
  }
}
