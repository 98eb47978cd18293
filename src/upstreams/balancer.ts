import type { BalancePolicy } from '../core/upstream.ts'
import { pickBy, type Candidate, type Pick } from './balance.ts'

/** What the balancer looks at besides. */
export interface Balanced extends Candidate {
  readonly requestsMax: number
  readonly backup: boolean
  readonly origin: {
    readonly inFlight: number
    readonly circuit: { readonly down: boolean; readonly usable: boolean }
  }
}

const UP = 0
const BACKUP = 1
/** Failed a moment ago: better than nobody. */
const OUT = 2
const DOWN = 3

/** Chooses who gets the next request: among those that are up, then among backups, then among those taken out a moment ago. */
export class Balancer<T extends Balanced> {
  readonly #members: readonly T[]
  readonly #pick: Pick
  /** Reused, because every request would make one. */
  readonly #candidates: T[] = []

  /** Who gets every request as long as it is up. */
  readonly #only: T | undefined

  constructor(members: readonly T[], policy: BalancePolicy) {
    this.#members = members.filter(({ weight }) => weight > 0)
    this.#only = this.#members.length === 1 ? this.#members[0] : undefined
    this.#pick = pickBy(policy)
  }

  /**
   * `tried` are those that failed this very request. `full`: who could take it has as many requests as it may have;
   * `down`: nobody could.
   */
  choose(tried: readonly T[], key: string | undefined): T | 'full' | 'down' {
    return this.#alone(tried) ?? this.#among(tried, key)
  }

  #alone(tried: readonly T[]): T | undefined {
    const only = this.#only
    if (only === undefined || tried.length > 0 || rankOf(only) >= OUT || isFull(only)) return undefined
    return only
  }

  #among(tried: readonly T[], key: string | undefined): T | 'full' | 'down' {
    const candidates = this.#candidates
    const bestFull = this.#gather(tried)
    const [best] = candidates
    const isWorthWaiting = bestFull < OUT && (best === undefined || rankOf(best) === OUT)
    const chosen = best === undefined || isWorthWaiting ? undefined : this.#pick(candidates, key)
    candidates.length = 0
    return chosen ?? (bestFull === DOWN ? 'down' : 'full')
  }

  /** Puts the best of those with room into `#candidates`; returns the best rank of those without. */
  #gather(tried: readonly T[]): number {
    const candidates = this.#candidates
    let [best, bestFull] = [DOWN, DOWN]
    for (const member of this.#members) {
      const rank = tried.includes(member) ? DOWN : rankOf(member)
      if (isFull(member)) {
        bestFull = Math.min(bestFull, rank)
        continue
      }
      if (rank < best) candidates.length = 0
      best = Math.min(best, rank)
      if (rank < DOWN && rank === best) candidates.push(member)
    }
    return bestFull
  }

  /** True when a request that these failed could still go to somebody who is up. */
  hasOther(tried: readonly T[]): boolean {
    return this.#members.some((member) => !tried.includes(member) && rankOf(member) < OUT && !isFull(member))
  }
}

function rankOf({ origin: { circuit }, backup }: Balanced): number {
  if (circuit.down) return DOWN
  if (!circuit.usable) return OUT
  return backup ? BACKUP : UP
}

function isFull({ origin, requestsMax }: Balanced): boolean {
  return origin.inFlight >= requestsMax
}
