import { isIPv6 } from 'node:net'

/** Wrong tokens that an address may send before it has to wait. */
const GUESSES_MAX = 10

/** After so long, one more. */
const GUESS_MS = 6_000

/** Addresses remembered; the one that guessed longest ago goes first. */
const ADDRESSES_MAX = 10_000

/** Tokens that were right lately, by their hashes. */
const KNOWN_MAX = 1_000

interface Guesser {
  /** Falls by one each `GUESS_MS`. */
  guesses: number
  at: number
  /** Of the last one: who repeats a token guesses nothing. */
  hash: string
}

/**
 * Slows down who guesses. A token that was right before is let through from wherever it comes: one client with a bad token must not lock
 * out those behind the same address.
 */
export interface Throttle {
  /** Seconds that this address has to wait; 0 when it may ask. */
  waitSeconds(address: string, hash: string): number
  wrong(address: string, hash: string): void
  right(hash: string): void
}

export function openThrottle(clock: () => number): Throttle {
  const guessers = new Map<string, Guesser>()
  const known = new Set<string>()
  const guessesOf = ({ guesses, at }: Guesser): number => Math.max(0, guesses - (clock() - at) / GUESS_MS)
  return {
    waitSeconds(address, hash) {
      const guesser = guessers.get(network(address))
      if (guesser === undefined || known.has(hash) || guesser.hash === hash) return 0
      const excess = guessesOf(guesser) - GUESSES_MAX + 1
      return excess <= 0 ? 0 : Math.ceil((excess * GUESS_MS) / 1000)
    },
    wrong(address, hash) {
      const name = network(address)
      known.delete(hash)
      const before = guessers.get(name)
      if (before?.hash === hash) return
      guessers.delete(name)
      guessers.set(name, { guesses: (before === undefined ? 0 : guessesOf(before)) + 1, at: clock(), hash })
      forgetFirst(guessers, ADDRESSES_MAX)
    },
    right(hash) {
      known.delete(hash)
      known.add(hash)
      forgetFirst(known, KNOWN_MAX)
    },
  }
}

/** Who has one address of IPv6 has the 64 bits below it too. */
function network(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const filled =
    tail === undefined
      ? groups
      : [...groups, ...Array<string>(8 - groups.length - last.length).fill('0'), ...last]
  return filled
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

function forgetFirst(kept: Map<string, unknown> | Set<string>, most: number): void {
  if (kept.size <= most) return
  const first = kept.keys().next()
  if (first.done !== true) kept.delete(first.value)
}
