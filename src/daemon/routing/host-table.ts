import type { Fetcher, RequestContext } from '../../core/fetcher.ts'
import type { RouteTable } from '../../gateway/route-table.ts'
import { isBelow, isOwnHost, plainHost } from './host-name.ts'
import { hostless, misdirected, notDeployed } from './refusals.ts'
import { pick, type Split } from './split.ts'

/** A function, or a project's routes. */
export type Served = Fetcher | RouteTable

export type HostEntry = { readonly one: Served; readonly split?: undefined } | { readonly split: Split<Served> }

/** Who answers at which host name. Synchronous: what is put in one turn of the event loop is in force for all requests at once. */
export class HostTable {
  readonly #domain: string
  readonly #port: string
  readonly #entries = new Map<string, HostEntry>()
  readonly #owned = new Map<string, readonly string[]>()

  /** `port` is the one that people see; empty for the scheme's own. */
  constructor({ domain, port }: { readonly domain: string; readonly port: string }) {
    this.#domain = domain
    this.#port = port
  }

  /** Replaces all names of this owner. Names are as `plainHost` writes them. */
  put(owner: string, entries: ReadonlyMap<string, HostEntry>): void {
    const names: string[] = []
    for (const [name, entry] of entries) {
      // With the port as well: what browsers send is then found as it came.
      for (const spelling of [name, `${name}:${this.#port}`]) {
        this.#entries.set(spelling, entry)
        names.push(spelling)
      }
    }
    const kept = new Set(names)
    for (const name of this.#owned.get(owner) ?? []) if (!kept.has(name)) this.#entries.delete(name)
    if (names.length === 0) this.#owned.delete(owner)
    else this.#owned.set(owner, names)
  }

  /** Undefined for the daemon's own names: its API answers. */
  find(host: string, context: RequestContext | undefined): Served | undefined {
    const entry = this.#entries.get(host)
    return entry === undefined ? this.#search(host, context) : served(entry, context)
  }

  #search(host: string, context: RequestContext | undefined): Served | undefined {
    const name = plainHost(host)
    const entry = this.#entries.get(name)
    if (entry !== undefined) return served(entry, context)
    if (name === '') return hostless
    if (isOwnHost(name, this.#domain)) return undefined
    return isBelow(name, this.#domain) ? notDeployed : misdirected
  }
}

function served(entry: HostEntry, context: RequestContext | undefined): Served {
  return entry.split === undefined ? entry.one : pick(entry.split, context)
}
