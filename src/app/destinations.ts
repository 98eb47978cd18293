import { errorMessage } from '../core/errors.ts'
import type { SocketFetcher } from '../core/fetcher.ts'
import type { Logger } from '../core/log.ts'
import type { RouteMatcher, RouteRule } from '../core/route.ts'
import type { OriginState } from '../core/upstream.ts'
import type { Origins } from '../upstreams/origins.ts'

/** An upstream or a static folder. */
type Destination = SocketFetcher & Partial<AsyncDisposable> & { states?(): readonly OriginState[] }

/** What routes lead to, besides functions: opened once and shared by every table that names it. */
export class Destinations implements AsyncDisposable {
  readonly #log: Logger
  readonly #opened = new Map<string, Destination>()
  readonly #opening = new Map<string, Promise<Destination>>()
  readonly #closing = new Set<Promise<void>>()
  readonly #keys = new WeakMap<RouteRule, string>()
  #origins: Promise<Origins> | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  /** @throws FlexiError FLEXI_CONFIG for what cannot be opened. */
  async fetcher(rule: RouteRule): Promise<SocketFetcher> {
    const key = await destinationKey(rule)
    this.#keys.set(rule, key)
    const known = this.#opened.get(key) ?? this.#opening.get(key)
    if (known !== undefined) return known
    const fetcher = this.#open(key, rule)
    this.#opening.set(key, fetcher)
    return fetcher
  }

  /** How every server is that a route forwards to. */
  states(): readonly OriginState[] {
    return [...this.#opened.values()].flatMap((fetcher) => fetcher.states?.() ?? [])
  }

  /** Closes what these rules, now in force, do not name. Requests under way keep what they use, and nobody waits for them. */
  keep(rules: readonly RouteRule[]): void {
    const wanted = new Set(rules.map((rule) => this.#keys.get(rule)))
    for (const key of this.#opened.keys()) if (!wanted.has(key)) this.#close(key)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const key of this.#opened.keys()) this.#close(key)
    await Promise.all(this.#closing)
    await (await this.#origins)?.[Symbol.asyncDispose]()
  }

  async #open(key: string, { target, matcher }: RouteRule): Promise<Destination> {
    try {
      const fetcher =
        target.kind === 'static' ? await openFolder(target, matcher) : await this.#openUpstream(target)
      this.#opened.set(key, fetcher)
      return fetcher
    } finally {
      this.#opening.delete(key)
    }
  }

  async #openUpstream(target: RouteRule['target']): Promise<Destination> {
    if (target.kind !== 'upstream') throw new Error(`a ${target.kind} is opened elsewhere`)
    const { openUpstream } = await import('../upstreams/upstream.ts')
    this.#origins ??= import('../upstreams/origins.ts').then((room) => new room.Origins())
    return openUpstream(target.origins, target.settings, { log: this.#log, origins: await this.#origins })
  }

  #close(key: string): void {
    const fetcher = this.#opened.get(key)
    this.#opened.delete(key)
    const closing = Promise.resolve(fetcher?.[Symbol.asyncDispose]?.())
      .catch((error: unknown) => this.#log.error('upstream.close', { message: errorMessage(error) }))
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}

async function openFolder(
  { directory, settings }: Extract<RouteRule['target'], { kind: 'static' }>,
  matcher: RouteMatcher,
): Promise<Destination> {
  const { staticFolder } = await import('../gateway/static-folder.ts')
  return staticFolder(directory, { ...settings, stripPrefix: matchedPrefix(matcher) })
}

/** Equal keys lead to the same place. */
async function destinationKey({ target, matcher }: RouteRule): Promise<string> {
  if (target.kind === 'static') return JSON.stringify([target, matchedPrefix(matcher)])
  const tls = target.kind === 'upstream' ? target.settings?.tls : undefined
  if (tls === undefined) return JSON.stringify(target)
  const { tlsVersion } = await import('../upstreams/tls.ts')
  return JSON.stringify([target, await tlsVersion(tls)])
}

/** The part of the path that a folder's files do not have in their names: `/assets/ = ./public/` serves `/assets/a.css` from `public/a.css`. */
function matchedPrefix(matcher: RouteMatcher): string {
  switch (matcher.kind) {
    case 'prefix':
      return matcher.prefix
    case 'path':
      return matcher.path
    case 'field':
      return matcher.pathPrefix ?? '/'
    case 'host':
    case 'template':
      return '/'
  }
}
