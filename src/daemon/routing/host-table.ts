import type { Fetcher, RequestContext } from '../../core/fetcher.ts'
import type { RouteTable } from '../../gateway/route-table.ts'
import { isBelow, isOwnHost, plainHost } from './host-name.ts'
import { hostless, misdirected, notDeployed } from './refusals.ts'
import { pick, type Split } from './split.ts'

/** A function, or a project's routes. */
export type Served = Fetcher | RouteTable

export type HostEntry =
  | { readonly one: Served; readonly split?: undefined }
  | { readonly split: Split<Served> }

/** Who answers at which host name. Synchronous: what is put in one turn of the event loop is in force for all requests at once. */
export class HostTable {
  readonly #domain: string
  readonly #entries = new Map<string, HostEntry>()
  readonly #owned = new Map<string, readonly string[]>()
  /** How known names were written, ports and all: nearly every request is found here. */
  readonly #spellings = new Map<string, HostEntry>()

  constructor(domain: string) {
    this.#domain = domain
  }

  /** Replaces all names of this owner. Names are as `plainHost` writes them. */
  put(owner: string, entries: ReadonlyMap<string, HostEntry>): void {
    for (const name of this.#owned.get(owner) ?? []) this.#entries.delete(name)
    for (const [name, entry] of entries) this.#entries.set(name, entry)
    if (entries.size === 0) this.#owned.delete(owner)
    else this.#owned.set(owner, [...entries.keys()])
    this.#spellings.clear()
  }

  /** Undefined for the daemon's own names: its API answers. */
  find(host: string, context: RequestContext | undefined): Served | undefined {
    const entry = this.#spellings.get(host)
    return entry === undefined ? this.#search(host, context) : served(entry, context)
  }

  #search(host: string, context: RequestContext | undefined): Served | undefined {
    const name = plainHost(host)
    const entry = this.#entries.get(name)
    if (entry !== undefined) {
      // Names are no secret, and can be written in many ways.
      if (this.#spellings.size >= SPELLINGS_MAX) this.#spellings.clear()
      this.#spellings.set(host, entry)
      return served(entry, context)
    }
    if (name === '') return hostless
    if (isOwnHost(name, this.#domain)) return undefined
    return isBelow(name, this.#domain) ? notDeployed : misdirected
  }
}

const SPELLINGS_MAX = 10_000

function served(entry: HostEntry, context: RequestContext | undefined): Served {
  return entry.split === undefined ? entry.one : pick(entry.split, context)
}
