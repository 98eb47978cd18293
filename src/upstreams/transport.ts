import type { UpstreamTls } from '../core/upstream.ts'
import type { ClientTls } from '../forward/client-tls.ts'
import { createDispatcher, type Dispatcher } from '../forward/forward.ts'
import { openHttp2Pool, type Http2Pool } from '../forward/http2-forward.ts'
import { probeHttp1, probeHttp2 } from '../forward/probe.ts'
import type { Probe } from './health.ts'
import { readClientTls } from './tls.ts'

/** How an origin is reached, whoever asks it for what. */
export interface TransportSettings {
  /** `http://host:port` */
  readonly origin: string
  readonly tls: UpstreamTls | undefined
  readonly http2: boolean
  readonly connectMs: number | undefined
}

/** The connections to one origin. Nothing is connected before the first request. */
export interface Transport extends AsyncDisposable {
  readonly dispatcher: Dispatcher
  /** For origins that are to speak HTTP/2. */
  readonly pool: Http2Pool | undefined
  readonly tls: ClientTls | undefined
}

/** @throws FlexiError FLEXI_CONFIG for files of `tls` that cannot be used. */
export async function openTransport(settings: TransportSettings): Promise<Transport> {
  const { origin, connectMs } = settings
  const tls = await readClientTls(settings.tls)
  const [dispatcher, pool] = await Promise.all([
    createDispatcher(origin, { connectMs, tls }),
    settings.http2 ? openHttp2Pool(origin, { connectMs, tls }) : undefined,
  ])
  return {
    dispatcher,
    pool,
    tls,
    async [Symbol.asyncDispose]() {
      await Promise.all([dispatcher.close(), pool?.close()])
    },
  }
}

/** Asks over the connections that requests take too; `host` as in the health check's Host. */
export function probeOf({ dispatcher, pool }: Transport, origin: string, host: string): Probe {
  return async (path, timeoutMs) => {
    const question = { origin, host, path, timeoutMs }
    const status = pool === undefined ? undefined : await probeHttp2(pool, question)
    return status ?? probeHttp1(dispatcher, question)
  }
}
