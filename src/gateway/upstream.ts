import type { Duplex } from 'node:stream'

import type { RequestContext, SocketFetcher } from '../core/fetcher.ts'
import { errorMessage, FlexiError } from '../core/errors.ts'
import {
  createDispatcher,
  forward,
  UpstreamError,
  type DispatcherOptions,
  type ForwardTarget,
} from '../forward/forward.ts'
import { VIA_NAME } from '../forward/fields.ts'
import { answerRaw } from '../forward/raw-answer.ts'
import { forwardUpgrade, type UpgradeTarget } from '../forward/upgrade.ts'
import { badRequestText } from './errors.ts'

export interface UpstreamOptions extends DispatcherOptions {
  /** `keep` sends the client's Host; default: kept for `http`, the upstream's own for `https`, whose certificates go by name. */
  readonly host?: string | undefined
  /** Longest silence before the head; default `LIMITS.requestMs`. */
  readonly headersMs?: number | undefined
  /** Longest silence within the body; default 300 000. */
  readonly bodyMs?: number | undefined
}

/** One origin, ready to be asked. */
interface Origin {
  readonly url: URL
  readonly target: ForwardTarget
  /** Until then it is asked last: it refused a connection. */
  downUntil: number
}

const DOWN_MS = 5_000
const LOOPS_MAX = 10

/**
 * Forwards to one of several origins in turn. An origin that accepts no connection is passed over, at first and for a while
 * afterwards; none needs to be up when this opens. `http://host/base` puts `/base` before every path.
 * @throws FlexiError FLEXI_CONFIG for an origin that is no http URL.
 */
export async function openUpstream(
  origins: readonly string[],
  options: UpstreamOptions = {},
): Promise<SocketFetcher & AsyncDisposable> {
  const opened = await Promise.all(origins.map((origin) => openOrigin(origin, options)))
  let turn = 0
  return {
    async handle(incoming, outgoing, context) {
      if (incoming.method === 'TRACE') {
        outgoing.writeHead(405, ['Content-Length', '0'])
        outgoing.end()
        return
      }
      refuseLoop(incoming.headers.via)
      turn = (turn + 1) % opened.length
      await askOne(inTurn(opened, turn), context, ({ target }) =>
        forward(target, { incoming, outgoing, context }),
      )
    },
    upgrade(incoming, socket, head, context) {
      turn = (turn + 1) % opened.length
      const { verifyCertificate } = options
      const exchange = { incoming, socket, head, context }
      askOne(inTurn(opened, turn), context, ({ url, target }) =>
        forwardUpgrade(upgradeTarget(url), exchange, { ...target, verifyCertificate }),
      ).catch((error: unknown) => refuseUpgrade(socket, context, error))
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map(({ target }) => target.dispatcher.close()))
    },
  }
}

async function openOrigin(text: string, options: UpstreamOptions): Promise<Origin> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new FlexiError('FLEXI_CONFIG', `${text} is no upstream`, { hint: 'Write http://host:port.' })
  }
  const basePath = url.pathname.replace(/\/+$/, '')
  const { headersMs, bodyMs } = options
  return {
    url,
    downUntil: 0,
    target: {
      dispatcher: await createDispatcher(url.origin, options),
      origin: url.origin,
      ...(basePath === '' ? {} : { basePath }),
      host: options.host ?? (url.protocol === 'https:' ? url.host : 'keep'),
      forwarded: true,
      headersMs,
      bodyMs,
    },
  }
}

/** From `turn` on and round; origins that are down come last. */
function inTurn(origins: readonly Origin[], turn: number): readonly Origin[] {
  if (origins.length === 1) return origins
  const now = Date.now()
  const order = [...origins.slice(turn), ...origins.slice(0, turn)]
  return [...order.filter((o) => o.downUntil <= now), ...order.filter((o) => o.downUntil > now)]
}

/** Asks one origin after the other until one accepts a connection. */
async function askOne(
  origins: readonly Origin[],
  context: RequestContext,
  ask: (origin: Origin) => Promise<void>,
): Promise<void> {
  for (const [i, origin] of origins.entries()) {
    try {
      await ask(origin)
      return
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.sent) throw error
      origin.downUntil = Date.now() + DOWN_MS
      if (i === origins.length - 1) throw error
      context.log.debug('upstream.pass', { origin: origin.target.origin, message: error.message })
    }
  }
}

function upgradeTarget({ protocol, hostname, port }: URL): UpgradeTarget {
  const tls = protocol === 'https:'
  const standard = tls ? 443 : 80
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? standard : Number(port), tls }
}

function refuseUpgrade(socket: Duplex, context: RequestContext, error: unknown): void {
  const status = error instanceof FlexiError ? error.status : 500
  context.note({ status })
  answerRaw(socket, {
    status,
    contentType: 'application/problem+json',
    text: badRequestText({ status, message: errorMessage(error) }, context.id),
  })
}

/** A route that leads back to this server would go round until something breaks. */
function refuseLoop(via: string | undefined): void {
  if (via === undefined || via.split(VIA_NAME).length <= LOOPS_MAX) return
  throw new FlexiError('FLEXI_UPSTREAM_LOOP', 'the request came back to this server again and again', {
    hint: 'Point the route at another server than this one.',
  })
}
