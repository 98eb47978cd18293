import type { BalancePolicy } from '../core/upstream.ts'
import { hashText, mix } from './hash.ts'

/** What choosing looks at. */
export interface Candidate {
  /** Above 0 for those that are chosen from. */
  readonly weight: number
  /** Its own number for consistent hashing; equal for equal URLs, in every process. */
  readonly seed: number
  /** What it has saved up for its next turn. */
  credit: number
  readonly origin: { readonly inFlight: number }
}

/** Takes one of at least one. `key` is what a consistent hash goes by; without one they take turns. */
export type Pick = <T extends Candidate>(members: readonly T[], key: string | undefined) => T

export function pickBy(policy: BalancePolicy): Pick {
  switch (policy.kind) {
    case 'round-robin':
      return inTurn
    case 'least-requests':
      return leastBusy
    case 'random-two':
      return lessBusyOfTwo
    case 'hash':
      return (members, key) => (key === undefined ? inTurn(members) : byHash(members, key))
  }
}

/**
 * Each gains its weight, the one with the most goes and pays what all gained: weights 5, 1, 1 give a a b a c a a,
 * and never a a a a a b c.
 */
function inTurn<T extends Candidate>(members: readonly T[]): T {
  let total = 0
  let best: T | undefined
  for (const member of members) {
    total += member.weight
    member.credit += member.weight
    if (best === undefined || member.credit > best.credit) best = member
  }
  const chosen = best ?? first(members)
  chosen.credit -= total
  return chosen
}

/** Those that are equally busy take turns. */
function leastBusy<T extends Candidate>(members: readonly T[]): T {
  let least = Number.POSITIVE_INFINITY
  let equals: T[] = []
  for (const member of members) {
    const load = loadOf(member)
    if (load < least) equals = []
    if (load <= least) equals.push(member)
    least = Math.min(least, load)
  }
  return inTurn(equals)
}

function lessBusyOfTwo<T extends Candidate>(members: readonly T[]): T {
  const one = byChance(members, undefined)
  if (members.length === 1) return one
  const other = byChance(members, one)
  return loadOf(other) < loadOf(one) ? other : one
}

/** By weight; never `except`. */
function byChance<T extends Candidate>(members: readonly T[], except: T | undefined): T {
  let total = 0
  for (const member of members) if (member !== except) total += member.weight
  let at = Math.random() * total
  let chosen = first(members)
  for (const member of members) {
    if (member === except) continue
    chosen = member
    at -= member.weight
    if (at < 0) break
  }
  return chosen
}

/**
 * Rendezvous hashing: every member draws from the key, the highest draw wins. A member that leaves gives away its own keys
 * and no others, and a weight moves no more keys than it must.
 */
function byHash<T extends Candidate>(members: readonly T[], key: string): T {
  const hash = hashText(key)
  let best = first(members)
  let highest = Number.NEGATIVE_INFINITY
  for (const member of members) {
    const uniform = (mix(hash ^ member.seed) + 0.5) / 2 ** 32
    const draw = member.weight / -Math.log(uniform)
    if (draw > highest) [highest, best] = [draw, member]
  }
  return best
}

function loadOf(member: Candidate): number {
  return member.origin.inFlight / member.weight
}

function first<T extends Candidate>(members: readonly T[]): T {
  const [member] = members
  if (member === undefined) throw new Error('nobody to choose from')
  return member
}
