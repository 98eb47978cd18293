import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { BalancePolicy } from '../../src/core/upstream.ts'
import { Balancer, type Balanced } from '../../src/upstreams/balancer.ts'
import { hashText } from '../../src/upstreams/hash.ts'

interface Fake extends Balanced {
  readonly name: string
  readonly origin: { inFlight: number; circuit: { down: boolean; usable: boolean } }
}

interface Shape {
  readonly weight?: number
  readonly inFlight?: number
  readonly requestsMax?: number
  readonly backup?: boolean
  /** Its health checks fail. */
  readonly down?: boolean
  /** Its requests failed a moment ago. */
  readonly out?: boolean
}

function fake(index: number, shape: Shape): Fake {
  const {
    weight = 1,
    inFlight = 0,
    requestsMax = Infinity,
    backup = false,
    down = false,
    out = false,
  } = shape
  const name = `http://10.0.0.${index}:80`
  const circuit = { down, usable: !down && !out }
  return { name, weight, requestsMax, backup, seed: hashText(name), credit: 0, origin: { inFlight, circuit } }
}

const fakes = (...shapes: Shape[]): Fake[] => shapes.map((shape, i) => fake(i, shape))

const POLICIES: readonly BalancePolicy[] = [
  { kind: 'round-robin' },
  { kind: 'least-requests' },
  { kind: 'random-two' },
  { kind: 'hash', key: { kind: 'address' } },
]

const shape = fc.record({
  weight: fc.integer({ min: 0, max: 5 }),
  inFlight: fc.integer({ min: 0, max: 3 }),
  requestsMax: fc.constantFrom(1, 2, Infinity),
  backup: fc.boolean(),
  down: fc.boolean(),
  out: fc.boolean(),
})

/** How often each is chosen for `count` keys. */
function shares(policy: BalancePolicy, members: readonly Fake[], count: number): number[] {
  const balancer = new Balancer(members, policy)
  const counts = members.map(() => 0)
  for (let i = 0; i < count; i++) {
    const chosen = balancer.choose([], `key ${i}`)
    if (typeof chosen === 'string') throw new Error(chosen)
    const at = members.indexOf(chosen)
    counts[at] = (counts[at] ?? 0) + 1
  }
  return counts
}

describe.each(POLICIES)('$kind', (policy) => {
  test('takes the best there is: up before backup, backup before out, never down, full or without weight', () => {
    const rank = ({ weight, backup, origin }: Fake): number => {
      if (weight === 0 || origin.circuit.down) return 3
      if (!origin.circuit.usable) return 2
      return backup ? 1 : 0
    }
    fc.assert(
      fc.property(fc.array(shape, { minLength: 1, maxLength: 6 }), fc.string(), (list, key) => {
        const members = fakes(...list)
        const chosen = new Balancer(members, policy).choose([], key)
        const full = (member: Fake): boolean => member.origin.inFlight >= member.requestsMax
        const ranks = members.filter((member) => !full(member)).map(rank)
        const best = Math.min(3, ...ranks)
        const bestFull = Math.min(3, ...members.filter(full).map(rank))
        if (typeof chosen === 'object') {
          expect(full(chosen)).toBe(false)
          expect(rank(chosen)).toBe(best)
          expect(best).toBeLessThan(3)
        } else if (chosen === 'full') {
          // Waiting for somebody who is up is better than asking somebody who failed a moment ago.
          expect(bestFull).toBeLessThan(best)
          expect(best).toBeGreaterThan(1)
        } else {
          expect(Math.min(best, bestFull)).toBe(3)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('never names one that this request has tried', () => {
    const members = fakes({}, {}, { out: true })
    const balancer = new Balancer(members, policy)
    const tried: Fake[] = []
    for (let i = 0; i < 3; i++) {
      const chosen = balancer.choose(tried, 'key')
      if (typeof chosen === 'string') throw new Error(chosen)
      tried.push(chosen)
    }
    expect(new Set(tried).size).toBe(3)
    expect(tried[2]).toBe(members[2])
    expect(balancer.choose(tried, 'key')).toBe('down')
  })
})

describe('shares follow weights', () => {
  test('exactly, in turn, whatever the weights', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), (weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const members = fakes(...weights.map((weight) => ({ weight })))
        expect(shares({ kind: 'round-robin' }, members, total * 3)).toEqual(weights.map((w) => w * 3))
      }),
    )
  })

  test('in turn, spread out and not in runs', () => {
    const members = fakes({ weight: 5 }, { weight: 1 }, { weight: 1 })
    const balancer = new Balancer(members, { kind: 'round-robin' })
    const order = Array.from({ length: 7 }, () => {
      const chosen = balancer.choose([], undefined)
      return typeof chosen === 'object' ? 'abc'[members.indexOf(chosen)] : '?'
    })
    expect(order.join('')).toBe('aabacaa')
  })

  test.each([{ kind: 'hash', key: { kind: 'path' } }, { kind: 'random-two' }] as const)(
    'nearly, by $kind',
    (policy) => {
      const counts = shares(policy, fakes({ weight: 1 }, { weight: 2 }, { weight: 3 }, { weight: 0 }), 12_000)
      for (const [i, want] of [2_000, 4_000, 6_000].entries()) {
        expect(Math.abs((counts[i] ?? 0) - want)).toBeLessThan(want * 0.1)
      }
      expect(counts[3]).toBe(0)
    },
  )

  test('of requests under way, by least-requests', () => {
    const members = fakes({ weight: 1 }, { weight: 3 })
    const balancer = new Balancer(members, { kind: 'least-requests' })
    for (let i = 0; i < 400; i++) {
      const chosen = balancer.choose([], undefined)
      if (typeof chosen === 'object') chosen.origin.inFlight++
    }
    expect(members.map(({ origin }) => origin.inFlight)).toEqual([100, 300])
  })

  test('random-two takes the less busy of two, and so never the busiest of many', () => {
    const members = fakes({ inFlight: 9 }, { inFlight: 1 }, { inFlight: 1 })
    expect(shares({ kind: 'random-two' }, members, 500)[0]).toBe(0)
  })
})

describe('a consistent hash', () => {
  const policy: BalancePolicy = { kind: 'hash', key: { kind: 'path' } }
  const placesOf = (members: readonly Fake[], keys: readonly string[]): (string | undefined)[] => {
    const balancer = new Balancer(members, policy)
    return keys.map((key) => {
      const chosen = balancer.choose([], key)
      return typeof chosen === 'object' ? chosen.name : undefined
    })
  }

  test('moves only the keys of the one that left, and gives them back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 8 }),
        fc.nat(),
        fc.array(fc.string(), { minLength: 1, maxLength: 50 }),
        (weights, pick, keys) => {
          const members = fakes(...weights.map((weight) => ({ weight })))
          const left = members[pick % members.length]
          const before = placesOf(members, keys)
          const without = placesOf(
            members.filter((member) => member !== left),
            keys,
          )
          if (left !== undefined) Object.assign(left.origin.circuit, { down: true, usable: false })
          const whileDown = placesOf(members, keys)
          for (const [i, place] of before.entries()) if (place !== left?.name) expect(without[i]).toBe(place)
          expect(whileDown).toEqual(without)
        },
      ),
    )
  })

  test('moves no more keys for a weight than its new share', () => {
    const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`)
    const before = placesOf(fakes({ weight: 1 }, { weight: 1 }), keys)
    const after = placesOf(fakes({ weight: 2 }, { weight: 1 }), keys)
    const moved = before.filter((place, i) => place !== after[i]).length
    expect(moved).toBeGreaterThan(1_400)
    expect(moved).toBeLessThan(1_950)
    expect(after.filter((place, i) => place !== before[i] && place?.endsWith('.1:80') === true)).toEqual([])
  })

  test('spreads keys that differ by their last letter', () => {
    const counts = new Map<string | undefined, number>()
    const keys = Array.from({ length: 4_000 }, (_, i) => `/users/${i}`)
    for (const place of placesOf(fakes({}, {}, {}, {}), keys)) counts.set(place, (counts.get(place) ?? 0) + 1)
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(120)
  })
})
