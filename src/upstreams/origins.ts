import { FlexiError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { UpstreamOrigin, UpstreamSettings } from '../core/upstream.ts'
import { Origin } from './origin.ts'
import { tlsVersion } from './tls.ts'
import { openTransport } from './transport.ts'

/** An origin, until it is given back. */
export interface HeldOrigin {
  readonly origin: Origin
  /** The last one to give an origin back closes it; that does not wait for requests under way. */
  release(): void
}

/** Origins that are open, shared by all upstreams that treat them alike: a reload that leaves one as it is finds it again. */
export class Origins implements AsyncDisposable {
  readonly #open = new Map<string, { readonly origin: Promise<Origin>; holders: number }>()
  readonly #closing = new Set<Promise<void>>()

  /** @throws FlexiError FLEXI_CONFIG for an origin that is no http URL, and for files that cannot be used. */
  async take(config: UpstreamOrigin, settings: UpstreamSettings, log: Logger): Promise<HeldOrigin> {
    const key = keyOf(config.url, settings, await tlsVersion(settings.tls))
    const entry = this.#open.get(key) ?? { origin: openOrigin(config.url, settings, log), holders: 0 }
    this.#open.set(key, entry)
    entry.holders++
    try {
      return { origin: await entry.origin, release: () => this.#release(key) }
    } catch (error) {
      this.#open.delete(key)
      throw error
    }
  }

  #release(key: string): void {
    const entry = this.#open.get(key)
    if (entry === undefined || --entry.holders > 0) return
    this.#open.delete(key)
    const closing = entry.origin.then((origin) => origin.close()).finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  /** Waits for all that was given back. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#closing)
  }
}

/** Origins with the same key are the same: reached, checked and judged alike. */
function keyOf(url: string, settings: UpstreamSettings, version: string): string {
  const { tls, http2, timeouts, health, eject, host } = settings
  return JSON.stringify([
    url,
    tls,
    version,
    http2 === true,
    timeouts?.connectMs,
    health,
    eject,
    health && host,
  ])
}

async function openOrigin(url: string, settings: UpstreamSettings, log: Logger): Promise<Origin> {
  const address = readAddress(url)
  const transport = await openTransport({
    origin: address.origin,
    tls: settings.tls,
    http2: settings.http2 === true,
    connectMs: settings.timeouts?.connectMs,
  })
  return new Origin(url, address, { transport, settings, log })
}

function readAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) return url
  throw new FlexiError('FLEXI_CONFIG', `${text} is no upstream`, { hint: 'Write http://host:port.' })
}
