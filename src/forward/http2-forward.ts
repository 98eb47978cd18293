import { forward, type ForwardExchange } from './forward.ts'
import { Http2Forwarding, OUT_OF_TIME } from './http2-exchange.ts'
import type { Http2Target } from './http2-fields.ts'
import type { Http2Connection } from './http2-pool.ts'
import { replayContent, type ReplayContent } from './replay-content.ts'
import { upstreamError } from './upstream-error.ts'

export type { Http2Target } from './http2-fields.ts'
export { openHttp2Pool, type Http2Pool } from './http2-pool.ts'

/**
 * Sends the request to an upstream over HTTP/2 and its response to the client, as `forward` does over HTTP/1.1.
 * A stream that the upstream says it has not looked at is sent again on a new connection, whatever its method.
 * @throws UpstreamError as `forward`.
 */
export async function forwardHttp2(target: Http2Target, exchange: ForwardExchange): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const connection = target.pool.ready() ?? (await connect(target, exchange))
    if (exchange.outgoing.destroyed) return
    if (connection === undefined) {
      await forwardHttp1(target, exchange)
      return
    }
    const outcome = await new Promise<void | 'again'>((resolve, reject) => {
      const forwarding = new Http2Forwarding(target, exchange, { connection, attempt, resolve, reject })
      forwarding.send()
    })
    if (outcome !== 'again') return
  }
}

async function connect(
  target: Http2Target,
  { incoming, signal }: ForwardExchange,
): Promise<Http2Connection | undefined> {
  try {
    const acquiring = target.pool.acquire()
    if (signal === undefined) return await acquiring
    acquiring.catch(ignore)
    return await Promise.race([acquiring, aborted(signal)])
  } catch (error) {
    throw upstreamError(target.origin, error, !canStartAgain(replayContent(incoming)))
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(OUT_OF_TIME)
    else signal.addEventListener('abort', () => reject(OUT_OF_TIME), { once: true })
  })
}

async function forwardHttp1(target: Http2Target, exchange: ForwardExchange): Promise<void> {
  if (!replayContent(exchange.incoming).started) return forward(target, exchange)
  throw upstreamError(target.origin, new Error('it speaks HTTP/1.1 now'), true)
}

function canStartAgain(content: ReplayContent): boolean {
  return !content.started || content.repeatable
}

function ignore(): void {
  // Whoever waits for the connection is told.
}
