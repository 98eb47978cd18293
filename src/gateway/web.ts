import type { IncomingMessage, ServerResponse } from 'node:http'

import { Hono } from 'hono/tiny'

import { FlexiError } from '../core/errors.ts'
import type { RequestContext, SocketFetcher, WebFetcher } from '../core/fetcher.ts'
import type { ClientResponse } from './client-response.ts'
import type { Exchange } from './context.ts'
import { answerError } from './errors.ts'

/** What a control route finds in `c.env`. */
interface ControlBindings {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly context: RequestContext
}

export interface ControlEnv {
  Bindings: ControlBindings
}

type Answer = (request: Request, bindings: ControlBindings) => Response | Promise<Response>
type Listener = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>

const listeners = new WeakMap<WebFetcher, SocketFetcher>()

/** The same fetcher for sockets. Made once a fetcher; node-server is loaded with the first request that needs it. */
export function overSockets(fetcher: WebFetcher): SocketFetcher {
  let adapted = listeners.get(fetcher)
  if (adapted === undefined) {
    adapted = socketFetcher((request, { context }) => fetcher.fetch(request, context))
    listeners.set(fetcher, adapted)
  }
  return adapted
}

/** An application for flexi's own routes; they are written without the prefix. */
export function openControl(prefix: string): Hono<ControlEnv> {
  const root = new Hono<ControlEnv>()
  root.notFound(({ req }) => {
    throw new FlexiError('FLEXI_NO_ROUTE', `nothing of flexi's own is at ${req.method} ${req.path}`)
  })
  // Thrown on, so that the gateway answers as it does everywhere.
  root.onError((error) => {
    throw error
  })
  return root.basePath(prefix)
}

/** Serves the control routes; what none of them takes is a 404 like every other. */
export function controlFetcher(control: Hono<ControlEnv>): SocketFetcher {
  return socketFetcher((request, bindings) => control.fetch(request, bindings))
}

function socketFetcher(answer: Answer): SocketFetcher {
  let opened: Promise<Listener> | undefined
  return {
    async handle(incoming, outgoing) {
      opened ??= openListener(answer)
      await (
        await opened
      )(incoming, outgoing)
    },
  }
}

async function openListener(answer: Answer): Promise<Listener> {
  const [{ getRequestListener }, { RESPONSE_ALREADY_SENT }] = await Promise.all([
    import('@hono/node-server'),
    import('@hono/node-server/utils/response'),
  ])
  return getRequestListener(async (request, env) => {
    const outgoing = env.outgoing as ClientResponse
    const context = exchangeOf(outgoing)
    try {
      return await answer(request, { incoming: context.incoming, outgoing, context })
    } catch (error) {
      answerError(error, outgoing, context)
      return RESPONSE_ALREADY_SENT
    }
  })
}

function exchangeOf(outgoing: ClientResponse): Exchange {
  if (outgoing.exchange === undefined) throw new FlexiError('FLEXI_BUG', 'a response without its exchange')
  return outgoing.exchange
}
