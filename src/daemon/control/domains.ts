import { domainToASCII } from 'node:url'

import { FlexiError } from '../../core/errors.ts'
import { isBelow, isHostName, isOwnHost, plainHost } from '../routing/host-name.ts'
import type { Store } from '../store.ts'

interface Claim {
  readonly project: string
  /** The function, or routes, that it leads to. */
  readonly front: string
}

const SETTING = 'domains'

/** Host names that projects have besides those below the daemon's domain. They lead to the alias `live`. */
export class Domains {
  readonly #store: Store
  readonly #own: string
  #claims: ReadonlyMap<string, Claim>

  constructor(store: Store, own: string) {
    this.#store = store
    this.#own = own
    this.#claims = readClaims(store.settings.get(SETTING))
  }

  /** Of one function, or routes. */
  of(front: string): readonly string[] {
    return [...this.#claims].flatMap(([domain, claim]) => (claim.front === front ? [domain] : []))
  }

  /** What those of one project lead to. */
  fronts(project: string): ReadonlySet<string> {
    const claims = [...this.#claims.values()].filter((claim) => claim.project === project)
    return new Set(claims.map(({ front }) => front))
  }

  /**
   * As they are asked for: lower-case, IDNA in ASCII.
   * @throws FlexiError FLEXI_USAGE for what is no name of theirs; FLEXI_CONFLICT for one of another project.
   */
  check(project: string, names: readonly string[]): readonly string[] {
    return names.map((name) => {
      const domain = plainHost(domainToASCII(name))
      if (!isHostName(domain) || isOwnHost(domain, this.#own) || isBelow(domain, this.#own))
        throw new FlexiError('FLEXI_USAGE', `${JSON.stringify(name)} cannot be a domain of a project`, {
          hint: `Name a host that is not at or below ${this.#own}, as "shop.example".`,
        })
      const other = this.#claims.get(domain)?.project
      if (other !== undefined && other !== project)
        throw new FlexiError('FLEXI_CONFLICT', `${domain} belongs to the project ${other}`)
      return domain
    })
  }

  /** Within a transaction: the project has these and no others from now on. Tells the fronts that changed. `adopt` puts it in force. */
  claim(project: string, front: string, names: readonly string[]): void {
    const others = [...this.#claims].filter(([, claim]) => claim.project !== project)
    const own = names.map((name): [string, Claim] => [name, { project, front }])
    this.#write([...others, ...own])
  }

  /** Within a transaction: what led to a function that is gone. */
  release(front: string): void {
    const kept = [...this.#claims].filter(([, claim]) => claim.front !== front)
    if (kept.length < this.#claims.size) this.#write(kept)
  }

  /** After the transaction. */
  adopt(): void {
    this.#claims = readClaims(this.#store.settings.get(SETTING))
  }

  #write(claims: readonly [string, Claim][]): void {
    this.#store.settings.set(SETTING, JSON.stringify(Object.fromEntries(claims)))
  }
}

function readClaims(text: string | undefined): ReadonlyMap<string, Claim> {
  return new Map(Object.entries(JSON.parse(text ?? '{}') as Record<string, Claim>))
}
